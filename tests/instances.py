"""Small random instances with any mix of the problem's features, built from the nouns alone."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from jaxplace.instance import NOWHERE, DenseTerms, Instance, Policy, Terms


FEATURES = frozenset(
    {
        "carbon",  # a carbon price
        "carbon_cap",  # policy.carbon_cap_kg, which binds
        "counts",  # rows of many units
        "egress",
        "headroom",
        "hosting",  # workloads with factors, service times and regions that do not host them
        "latency",  # budgets that rule out far regions, and pairs that are unreachable
        "max_moves",  # policy.max_moves (implies moves)
        "moves",  # rows that run somewhere already, with state
        "negative_prices",
        "parts",  # requests of several rows, each with its own current region (implies moves)
        "residency",
        "two_resources",
        "unservable",  # rows that no region allows
        "zero_capacity",  # a region without capacity
    }
)


def random_instance(
    seed: int,
    *,
    n: int = 40,
    m: int = 8,
    features: Iterable[str] = FEATURES,
    tightness: float = 0.9,
) -> Instance:
    """An instance of `Terms` with the named `features` (default: all of them).

    `tightness` is the fleet's use over the fleet's capacity: near or above 1 some units must
    stay unplaced.
    """
    on = frozenset(features)
    if on - FEATURES:
        raise ValueError(f"unknown features {sorted(on - FEATURES)}; known: {sorted(FEATURES)}")
    on |= {"moves"} if on & {"max_moves", "parts"} else frozenset()
    rng = np.random.default_rng(seed)
    current = np.full(n, NOWHERE, np.int32)
    if "moves" in on:
        current = np.where(rng.random(n) < 0.7, rng.integers(0, m, n), NOWHERE).astype(np.int32)
    request = _requests(rng, n, current) if "parts" in on else np.arange(n)
    first = np.searchsorted(request, request)  # rows of a request differ in count and current only
    terms = _rows_like(_terms(rng, n, m, on), first)
    count = rng.integers(1, 9, n) if "counts" in on else np.ones(n, np.int64)
    resources = ("gpu", "mw") if "two_resources" in on else ("gpu",)
    use = rng.lognormal(0.0, 0.5, (n, len(resources)))[first]
    share = rng.dirichlet(np.full(m, 3.0), len(resources)).T
    capacity = share * (count @ use) / tightness
    if "zero_capacity" in on:
        capacity[rng.integers(m)] = 0.0
    headroom = 0.1 if "headroom" in on else 0.0
    policy = Policy(
        carbon_price_usd_per_t=80.0 if "carbon" in on else 0.0,
        latency_margin=0.1 if "latency" in on else 0.0,
        headroom=headroom,
        move_usd=0.02 if "moves" in on else 0.0,
        max_moves=float(count.sum() // 4) if "max_moves" in on else None,
        carbon_cap_kg=_carbon_cap(terms, count) if "carbon_cap" in on else None,
    )
    return Instance(
        request_id=np.array([f"q{i}" for i in range(int(request[-1]) + 1)], object),
        region_id=np.array([f"r{j}" for j in range(m)], object),
        resources=resources,
        request=request.astype(np.int64),
        count=count.astype(np.int64),
        current=current,
        use=use,
        capacity=capacity * (1 - headroom),
        unplaced=policy.unplaced_usd + policy.unplaced_usd_per_kwh * terms.energy_kwh,
        terms=terms,
        policy=policy,
    )


def dense_instance(
    seed: int, *, n: int = 30, m: int = 6, resources: int = 1, pair_use: bool = True
) -> Instance:
    """A generalized assignment problem: random costs, a mask, and use that may vary by pair."""
    rng = np.random.default_rng(seed)
    allowed = rng.random((n, m)) < 0.8
    base = rng.uniform(1.0, 5.0, (n, resources))
    factor = rng.uniform(0.5, 2.0, (n, m, resources)) if pair_use else None
    capacity = np.full((m, resources), 1.2 * base.sum(0) / m)
    pair = base[:, None] * (1.0 if factor is None else factor)
    allowed &= (pair <= capacity).all(-1)
    return Instance(
        request_id=np.arange(n),
        region_id=np.arange(m),
        resources=("use",) if resources == 1 else tuple(f"use_{r}" for r in range(resources)),
        request=np.arange(n),
        count=np.ones(n, np.int64),
        current=np.full(n, NOWHERE, np.int32),
        use=base if factor is None else np.ones((n, resources)),
        capacity=capacity,
        unplaced=np.full(n, 200.0),
        terms=DenseTerms(
            cost=np.where(allowed, rng.uniform(-2.0, 20.0, (n, m)), 0.0),
            allowed=allowed,
            use_factor=None if factor is None else pair,
        ),
    )


def _terms(rng: np.random.Generator, n: int, m: int, on: frozenset[str]) -> Terms:
    """Tables per class for the features `on`; what is off is all zeros, ones or True."""
    origins, zones = 5, 3
    workloads = 3 if "hosting" in on else 1
    shape = (workloads, m)
    price = rng.uniform(-40.0 if "negative_prices" in on else 20.0, 120.0, m)
    rtt = rng.uniform(2.0, 200.0, (origins, m))
    budget = np.full(n, np.inf)
    if "latency" in on:
        rtt[rng.random(rtt.shape) < 0.05] = np.inf
        budget = np.where(rng.random(n) < 0.2, np.inf, rng.uniform(80.0, 250.0, n))
    if "unservable" in on:
        budget[rng.integers(0, n, max(1, n // 20))] = 1.0
    factors, service, hosted = np.ones((2, *shape)), np.zeros(shape), np.ones(shape, bool)
    if "hosting" in on:
        factors = rng.uniform(0.6, 1.6, factors.shape)
        service, hosted = rng.uniform(0.0, 20.0, shape), rng.random(shape) < 0.85
    legal = np.ones((1, m), bool)
    if "residency" in on:
        legal = np.concatenate([legal, rng.random((2, m)) < 0.6])
    transfer = rng.uniform(0.02, 0.12, (zones, zones)) * (1 - np.eye(zones))
    return Terms(
        energy_kwh=rng.lognormal(-1.0, 0.8, n),
        egress_gb=rng.exponential(0.5, n) if "egress" in on else np.zeros(n),
        state_gb=rng.exponential(0.5, n) if "moves" in on else np.zeros(n),
        latency_budget_ms=budget,
        origin=rng.integers(0, origins, n).astype(np.int32),
        workload=rng.integers(0, workloads, n).astype(np.int32),
        residency=rng.integers(0, len(legal), n).astype(np.int32),
        price_usd_per_mwh=price,
        carbon_g_per_kwh=rng.uniform(20.0, 700.0, m),
        pue=rng.uniform(1.05, 1.6, m),
        energy_factor=factors[0],
        use_factor=factors[1],
        service_ms=service,
        hosted=hosted,
        rtt_ms=rtt,
        legal=legal,
        origin_zone=rng.integers(0, zones, origins).astype(np.int32),
        region_zone=rng.integers(0, zones, m).astype(np.int32),
        transfer=transfer,
    )


def _rows_like(terms: Terms, rows: np.ndarray) -> Terms:
    """The terms with what belongs to a row taken from `rows`."""
    names = [
        "energy_kwh",
        "egress_gb",
        "state_gb",
        "latency_budget_ms",
        "origin",
        "workload",
        "residency",
    ]
    return replace(terms, **{name: getattr(terms, name)[rows] for name in names})


def _carbon_cap(terms: Terms, count: np.ndarray) -> float:
    """A cap [kg] that binds: half the emissions at a region of mean intensity."""
    facility = (terms.energy_factor.mean(0) * terms.pue * terms.carbon_g_per_kwh).mean()
    return float(0.5 * facility / 1000 * (count @ terms.energy_kwh))


def _requests(rng: np.random.Generator, n: int, current: np.ndarray) -> np.ndarray:
    """Adjacent rows joined into requests, wherever their current regions differ and rise."""
    joins = (current[1:] > current[:-1]) & (rng.random(n - 1) < 0.7)
    return np.concatenate([[0], np.cumsum(~joins)])
