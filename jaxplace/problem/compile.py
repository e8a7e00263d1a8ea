"""Instance -> Problem: folded, scaled, sorted and padded; `Compiled.order` undoes the sorting."""

from dataclasses import dataclass, replace

import numpy as np

from jaxplace import runtime
from jaxplace.instance import DenseTerms, Instance, Terms
from jaxplace.native import stable_order
from jaxplace.problem.menus import MenuBook
from jaxplace.problem.pairs import Pairs
from jaxplace.problem.problem import Problem, Rows, Scaling, Tables
from jaxplace.problem.ranks import NEVER, exact_ranks
from jaxplace.shapes import bucket, pad, region_bucket, row_bucket


LARGEST = 1e30  # penalties above it, in the problem's scale, are as good as infinite
SMALLEST_SCALE = 1e-6  # rows that use (almost) nothing still need a temperature above 0
PROBES = 1024  # rows whose spread of costs sets the scale of the costs


@dataclass(frozen=True)
class Compiled:
    """A problem, and what leads from it back to the instance.

    Attributes:
        problem: what the kernels see.
        order: [n] the instance's row of each problem row.
        pairs: float64 values on the instance's rows.
    """

    problem: Problem
    order: np.ndarray
    pairs: Pairs


def compile_instance(instance: Instance) -> Compiled:
    """Fold, scale, sort by class and pad an instance for the device."""
    pairs = Pairs.of(instance)
    use, row_use = _mean_use(instance)
    scale = np.maximum((row_use / use).mean(1), SMALLEST_SCALE)
    scaling = Scaling(cost=_cost_scale(pairs, scale), use=use)
    tables: dict = {}
    if isinstance(instance.terms, DenseTerms):
        order = np.arange(instance.rows)
        fields = _dense(instance, instance.terms, scaling)
    else:
        fields, tables, order = _structured(instance, instance.terms, pairs, scaling)
    fields |= {
        "weight": instance.count.astype(np.float32),
        "use": instance.use / (1 if fields.get("factor") is not None else use),
        "unplaced": instance.unplaced / scaling.cost,
        "scale": scale,
    }
    regions = region_bucket(instance.regions)
    limit = np.zeros((regions, len(instance.resources)))
    limit[: instance.regions] = instance.capacity / use
    policy = instance.policy
    problem = Problem(
        rows=Rows(*(_row_field(fields.get(name), order, name, regions) for name in Rows._fields)),
        tables=Tables(*(_table(tables.get(name), name, regions) for name in Tables._fields)),
        size=instance.rows,
        regions=instance.regions,
        limit=limit,
        budgets=np.array(
            [np.inf if b is None else b for b in (policy.max_moves, policy.carbon_cap_kg)]
        ),
        scaling=scaling,
    )
    dense = isinstance(instance.terms, DenseTerms)
    if dense or runtime.platform() != "cpu":  # the host's own loops need no JAX
        problem = problem.on_device()
    if not dense:
        problem = replace(problem, book=MenuBook(problem.rows, problem.tables, problem.size))
    return Compiled(problem, order, pairs)


def _mean_use(instance: Instance) -> tuple[np.ndarray, np.ndarray]:
    """Mean use of a unit by resource [R], and by row [n, R] (over the allowed regions)."""
    row_use = instance.use
    terms = instance.terms
    if isinstance(terms, DenseTerms) and terms.use_factor is not None:
        allowed = terms.allowed[..., None]
        row_use = (terms.use_factor * allowed).sum(1) / np.maximum(allowed.sum(1), 1)
    mean = instance.count @ row_use / max(instance.count.sum(), 1)
    return np.where(mean > 0, mean, 1.0), row_use


def _cost_scale(pairs: Pairs, scale: np.ndarray) -> float:
    """What a typical row loses, per use, at a middling region instead of its best [USD]."""
    instance = pairs.instance
    row = np.linspace(0, instance.rows - 1, min(PROBES, instance.rows)).astype(int)[:, None]
    region = np.arange(instance.regions)[None]
    cost = np.where(pairs.allowed(row, region), pairs.cost(row, region), np.nan)
    cost = cost[np.isfinite(cost).any(1)]
    row = row[:, 0]
    if len(cost):
        spread = np.nanmean(cost, 1) - np.nanmin(cost, 1)
        if spread.max() > 0:
            return float(spread[spread > 0].mean() / scale[row].mean())
    typical = np.abs(cost[np.isfinite(cost)]).max(initial=0.0)
    return float(typical or instance.unplaced.max(initial=0.0) or 1.0)


def _structured(
    instance: Instance, terms: Terms, pairs: Pairs, scaling: Scaling
) -> tuple[dict, dict, np.ndarray]:
    """Row fields, tables and the order of the rows, of an instance with terms by class."""
    workloads = len(terms.hosted)
    pair, place = _distinct(
        terms.origin.astype(np.int64) * workloads + terms.workload, len(terms.rtt_ms) * workloads
    )
    limits, fits = _fits(instance, terms)
    budget, reach = _reach(instance, terms, pair, limits)
    moves = bool((instance.current >= 0).any())
    state = moves and bool(terms.state_gb.any())
    egress = bool(terms.egress_gb.any())
    carbon = instance.policy.carbon_cap_kg is not None
    home_zone = np.where(instance.current >= 0, terms.region_zone[instance.current], 0)
    # rows that share all their tables' entries follow each other
    residencies, zones = len(terms.legal), int(home_zone.max(initial=0)) + 1
    order = stable_order(
        (place * residencies + terms.residency) * zones + home_zone,
        len(pair) * residencies * zones,
    )
    leave = instance.policy.move_usd / scaling.cost * (instance.current >= 0)
    legal = None if terms.legal[np.unique(terms.residency)].all() else terms.legal
    fields = {
        "energy": terms.energy_kwh,
        "egress": terms.egress_gb if egress else None,
        "origin_zone": terms.origin_zone[terms.origin] if egress else None,
        "state": np.where(instance.current >= 0, terms.state_gb, 0.0) if state else None,
        "home_zone": home_zone if state else None,
        "leave": leave if moves else None,
        "home": instance.current if moves else None,
        "workload": terms.workload,
        "place": place,
        "budget": budget,
        "residency": None if legal is None else terms.residency,
        "fit": None if fits is None else fits[1],
    }
    tables = {
        "energy": pairs.energy_usd / scaling.cost,
        "carbon": pairs.carbon_kg if carbon else None,
        "use_factor": None if (terms.use_factor == 1).all() else terms.use_factor,
        "transfer": terms.transfer[:, terms.region_zone] / scaling.cost
        if egress or state
        else None,
        "reach": reach,
        "legal": legal,
        "fit": None if fits is None else fits[0],
    }
    return fields, tables, order


def _distinct(codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct codes in [0, size) in order, and [n] the place of each code among them."""
    if size > 4 * len(codes) + 1024:
        return np.unique(codes, return_inverse=True)
    seen = np.zeros(size, bool)
    seen[codes] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[codes]


def _fits(
    instance: Instance, terms: Terms
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """The largest use that fits [k, m, R]; and the ranks that decide it, if rows differ."""
    factor = terms.use_factor[..., None]
    capacity = np.broadcast_to(instance.capacity, factor.shape[:2] + instance.capacity.shape[1:])
    limits = capacity / factor
    for _ in range(2):  # the quotient's rounding may be off by one float either way
        limits = np.where(limits * factor > capacity, np.nextafter(limits, -np.inf), limits)
        above = np.nextafter(limits, np.inf)
        limits = np.where(above * factor <= capacity, above, limits)
    most, least = instance.use.max(0, initial=0.0), instance.use.min(0, initial=np.inf)
    if ((limits >= most) | (limits < least)).all():
        return limits, None
    ranks = [exact_ranks(limits[..., r], instance.use[:, r]) for r in range(limits.shape[-1])]
    return limits, (np.stack([r[0] for r in ranks], -1), np.stack([r[1] for r in ranks], -1))


def _reach(
    instance: Instance, terms: Terms, pair: np.ndarray, limits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of the budgets [n] and of RTT + service [pairs, m]; NEVER where nothing may run."""
    origin, work = np.divmod(pair, len(terms.hosted))
    rtt = terms.rtt_ms * (1 + instance.policy.latency_margin)
    time = rtt[origin] + terms.service_ms[work]
    # a region that is too small for the smallest use is closed to the workload
    hosted = terms.hosted & (limits >= instance.use.min(0, initial=np.inf)).all(-1)
    time[~hosted[work]] = np.inf
    budget, reach = exact_ranks(terms.latency_budget_ms, time)
    reach[~np.isfinite(time)] = NEVER
    return budget, reach


def _dense(instance: Instance, terms: DenseTerms, scaling: Scaling) -> dict:
    factor = None if terms.use_factor is None else terms.use_factor / scaling.use
    return {"cost": terms.cost / scaling.cost, "allowed": terms.allowed, "factor": factor}


WIDE = {"cost", "allowed", "factor"}  # row fields with a second axis of regions


def _row_field(
    values: np.ndarray | None, order: np.ndarray, name: str, regions: int
) -> np.ndarray | None:
    if values is None:
        return None
    values = _narrow(values)[order]
    if name in WIDE:
        values = pad(values, regions, axis=1)
    return pad(values, row_bucket(len(values)), fill=1 if name == "scale" else 0)


def _table(values: np.ndarray | None, name: str, regions: int) -> np.ndarray | None:
    if values is None:
        return None
    values = _narrow(values)
    padded = pad(values, regions, axis=1, fill=NEVER if name == "reach" else 0)
    return pad(padded, bucket(len(padded)))


def _narrow(values: np.ndarray) -> np.ndarray:
    """The kernels' types: float32, int32, bool."""
    if values.dtype == bool:
        return values
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.int32)
    return np.clip(values, -LARGEST, LARGEST).astype(np.float32)
