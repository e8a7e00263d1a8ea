"""Hand-made placements: a greedy plan with a NumPy certificate, so that no solver is needed."""

from dataclasses import replace

import numpy as np

from jaxplace.instance import NOWHERE, Instance, Places, Policy, Terms
from jaxplace.placement import Assignment, Certificate, Checkpoint, Duals, Placement
from jaxplace.status import Status


def instance(
    n: int = 60,
    m: int = 9,
    *,
    origins: int = 7,
    parts: bool = False,
    integer_ids: bool = False,
    unit_counts: bool = False,
    region_prefix: str = "region-",
    seed: int = 0,
) -> Instance:
    """An instance with places, two resources, current regions and some unservable rows."""
    rng = np.random.default_rng(seed)
    request = np.repeat(np.arange(n), 2) if parts else np.arange(n)
    rows = len(request)
    current = rng.integers(0, m, rows).astype(np.int32)
    if parts:
        current[1::2] = (current[::2] + 1) % m
    else:
        current[rng.random(rows) < 0.3] = NOWHERE
    count = np.ones(rows, np.int64) if unit_counts else rng.integers(1, 9, rows)
    energy = rng.lognormal(-1.0, 0.8, n)[request]
    use = np.stack([energy * 2, rng.lognormal(0, 0.3, n)[request]], 1)
    capacity = rng.dirichlet(np.full(m, 4.0), 2).T * (count @ use) * 1.3
    budget = np.full(rows, np.inf)
    budget[request == 3] = 0.5
    terms = Terms(
        energy_kwh=energy,
        egress_gb=rng.exponential(0.2, n)[request],
        state_gb=np.full(rows, 0.1),
        latency_budget_ms=budget,
        origin=rng.integers(0, origins, n)[request].astype(np.int32),
        workload=np.zeros(rows, np.int32),
        residency=np.zeros(rows, np.int32),
        price_usd_per_mwh=rng.uniform(-20, 120, m),
        carbon_g_per_kwh=rng.uniform(20, 700, m),
        pue=rng.uniform(1.05, 1.5, m),
        energy_factor=np.ones((1, m)),
        use_factor=np.ones((1, m)),
        service_ms=np.zeros((1, m)),
        hosted=np.ones((1, m), bool),
        rtt_ms=rng.uniform(2, 200, (origins, m)),
        legal=np.ones((1, m), bool),
        origin_zone=np.zeros(origins, np.int32),
        region_zone=np.zeros(m, np.int32),
        transfer=np.zeros((1, 1)),
    )
    places = Places(
        region_latitude=rng.uniform(-40, 62, m),
        region_longitude=rng.uniform(-120, 150, m),
        region_country=np.array([["US", "DE", "SG", "NA"][j % 4] for j in range(m)], object),
        origin_id=np.array([f"city-{o}" for o in range(origins)], object),
        origin_latitude=rng.uniform(-35, 60, origins),
        origin_longitude=rng.uniform(-120, 150, origins),
        workload_id=np.array(["default"], object),
        assumptions=("regions.pue: assumed by climate, not measured",),
    )
    return Instance(
        request_id=np.arange(n) + 100 if integer_ids else _names("request-", n),
        region_id=np.arange(m) + 7 if integer_ids else _names(region_prefix, m),
        resources=("gpu", "mem"),
        request=request.astype(np.int64),
        count=count.astype(np.int64),
        current=current,
        use=use,
        capacity=capacity,
        unplaced=0.01 + 5.0 * energy,
        terms=terms,
        policy=Policy(carbon_price_usd_per_t=80.0, move_usd=0.001),
        hour="2022-07-01T12:00",
        places=places,
        notes=("Table `requests`: column `colour` is not part of the model and was left out",),
    )


def _names(prefix: str, size: int) -> np.ndarray:
    return np.array([f"{prefix}{k}" for k in range(size)], object)


def dense(n: int = 5, m: int = 3) -> Instance:
    """An instance from matrices."""
    cost = np.arange(n * m, dtype=float).reshape(n, m)
    return Instance.from_arrays(cost=cost, use=np.ones(n), capacity=np.full(m, float(n)))


def spread(case: Instance, rng: np.random.Generator) -> Assignment:
    """Every row's units cut in up to two flows; the rows with a tiny budget stay unplaced."""
    n, m = case.rows, case.regions
    first = rng.integers(0, m, n)
    near = isinstance(case.terms, Terms)
    if near:
        first = np.where(case.terms.latency_budget_ms < 1, NOWHERE, first)
    stay = (rng.random(n) < 0.5) & (case.current >= 0) & (first >= 0)
    first = np.where(stay, case.current, first)
    cut = np.where((case.count > 2) & (first >= 0), case.count // 3, 0)
    row = np.concatenate([np.arange(n), np.flatnonzero(cut)])
    region = np.concatenate([first, np.where(first + 1 < m, first + 1, NOWHERE)[cut > 0]])
    count = np.concatenate([case.count - cut, cut[cut > 0]])
    order = np.lexsort((region, row))
    return Assignment(row[order], region[order].astype(np.int32), count[order])


def certificate(case: Instance, plan: Assignment) -> Certificate:
    """The figures of a plan; the bound is invented (0.04 % below the objective)."""
    m, on = case.regions, plan.region >= 0
    row, j, count = plan.row[on], plan.region[on], plan.count[on]
    load = np.stack(
        [np.bincount(j, case.use[row, r] * count, m) for r in range(len(case.resources))], 1
    )
    moved = (case.current[row] >= 0) & (case.current[row] != j)
    lost = float((case.unplaced[plan.row[~on]] * plan.count[~on]).sum())
    if isinstance(case.terms, Terms):
        t = case.terms
        kwh = t.energy_kwh[row] * t.pue[j] * count
        energy = kwh * t.price_usd_per_mwh[j] / 1e3
        kg = kwh * t.carbon_g_per_kwh[j] / 1e3
        cost = {
            "energy_usd": float(energy.sum()),
            "carbon_usd": float(kg.sum()) * case.policy.carbon_price_usd_per_t / 1e3,
            "egress_usd": 0.0,
            "move_usd": float(count[moved].sum()) * case.policy.move_usd,
            "unplaced_usd": lost,
        }
        dead = t.latency_budget_ms < 1
    else:
        energy, kwh, kg = case.terms.cost[row, j] * count, np.zeros(len(j)), np.zeros(len(j))
        cost = {"cost_usd": float(energy.sum()), "unplaced_usd": lost}
        dead = np.zeros(case.rows, bool)
    total, barren = sum(cost.values()), float((case.unplaced * case.count)[dead].sum())
    return Certificate(
        feasible=True,
        violations=(),
        objective_usd=total,
        lower_bound_usd=total - 4e-4 * abs(total - barren),
        unservable_usd=barren,
        gap=4e-4,
        cost=cost,
        units=int(case.count.sum()),
        placed=int(count.sum()),
        unplaced=int(plan.count[~on].sum()),
        unservable=int(case.count[dead].sum()),
        moves=int(count[moved].sum()),
        kwh=float(kwh.sum()),
        carbon_kg=float(kg.sum()),
        allowed_pairs=case.rows * m,
        load=load,
        region_units=np.bincount(j, count, m).astype(np.int64),
        region_kwh=np.bincount(j, kwh, m),
        region_carbon_kg=np.bincount(j, kg, m),
        region_cost_usd=np.bincount(j, energy, m),
    )


def placement(case: Instance | None = None, seed: int = 0) -> Placement:
    """A complete placement of `case` (default: `instance()`)."""
    case = instance() if case is None else case
    rng = np.random.default_rng(seed)
    plan = spread(case, rng)
    proof = certificate(case, plan)
    duals = rng.exponential(0.01, (case.regions, len(case.resources)))
    duals[rng.random(case.regions) < 0.4] = 0.0
    objective = proof.objective_usd

    def baseline(worse: float) -> dict[str, float]:
        return {
            "objective_usd": objective * (1 + worse),
            "kwh": proof.kwh * (1 + worse / 3),
            "carbon_kg": proof.carbon_kg * (1 + worse * 2),
            "unplaced": float(proof.unplaced),
        }

    return Placement(
        instance=case,
        assignment=plan,
        duals=Duals(duals),
        certificate=proof,
        status=Status.converged,
        baselines={"nearest": baseline(0.31), "greedy": baseline(0.06), "stay": baseline(0.22)},
        trace=trace(objective, proof.lower_bound_usd),
        timings_s={"prepare": 0.1, "compile": 1.2, "relax": 0.8, "round": 0.3, "certify": 0.2},
        seed=seed,
        device="cpu",
        versions={"jaxplace": "0.1.0", "numpy": np.__version__},
    )


def trace(objective: float, bound: float) -> tuple[Checkpoint, ...]:
    """A loop's log that ends at `bound` and `objective`."""
    lines = []
    for k in range(12):
        rest = 0.5**k
        lines.append(
            Checkpoint(
                elapsed_s=0.2 * (k + 1),
                stage="relax" if k < 9 else "round",
                step=k,
                temperature=10.0**-k,
                bound=bound - abs(objective) * 0.4 * rest,
                plan=None if k < 3 else objective * (1 + 0.3 * rest),
                overload=0.1 * rest,
            )
        )
    return (*lines, replace(lines[-1], elapsed_s=2.6, bound=bound, plan=objective))
