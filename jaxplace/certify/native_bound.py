"""The bound's inner minimum for large instances: one compiled float64 loop over rows and regions.

It shares no code with the solver, nor with the NumPy reference it is tested against.  Every pair
is priced and checked, none is skipped on a bound: what is summed is a number of the row times a
row of a table per class.  The loop is compiled without licence to reorder or fuse operations, so
it decides who is allowed exactly as CONTRACT section 1 reads, ties included.
"""

from typing import NamedTuple

import numpy as np

from jaxplace.instance import Instance, Terms
from jaxplace.native import compiled, frozen, lent, spread, stable_order
from jaxplace.placement import Duals
from jaxplace.shapes import pad


LANES = 64  # regions side by side in vector registers; 64 is faster than 32 or 128
CHUNKS = 64  # parts of the rows, over the threads


class _Tables(NamedTuple):
    """Tables per class, the m regions cut into tiles [., m / LANES, LANES] and padded.

    With k workloads, R resources, o origins, l residencies, z zones:

    Attributes:
        usd_per_kwh: [k] of IT energy, with carbon's price and dual.
        usd_per_use: [k, R] the duals, per unit of use before the use factor.
        use_factor: [k]
        capacity: [R]
        rtt_ms: [o] with the margin; NaN where unreachable.
        service_ms: [k] NaN where the workload is not hosted, and in the padding.
        illegal: [l] 0, or NaN where forbidden.
        usd_per_gb: [z]
        usd_per_move: without tiles; with the dual.
    """

    usd_per_kwh: np.ndarray
    usd_per_use: np.ndarray
    use_factor: np.ndarray
    capacity: np.ndarray
    rtt_ms: np.ndarray
    service_ms: np.ndarray
    illegal: np.ndarray
    usd_per_gb: np.ndarray
    usd_per_move: float


class _Rows(NamedTuple):
    """What is known per row, [n] and [n, R] for `use`."""

    energy_kwh: np.ndarray
    egress_gb: np.ndarray
    state_gb: np.ndarray
    budget_ms: np.ndarray
    use: np.ndarray
    workload: np.ndarray
    origin: np.ndarray
    residency: np.ndarray
    origin_zone: np.ndarray
    current: np.ndarray
    current_zone: np.ndarray


def cheapest(instance: Instance, duals: Duals) -> tuple[np.ndarray, int]:
    """Least reduced cost of each row over its allowed regions, duals included.

    Needs `Terms`: a dense instance is bound by reading its matrix, which NumPy does as fast.

    Returns:
        [n] USD per unit, inf where no region is allowed; and the number of allowed pairs.
    """
    terms = instance.terms
    if not isinstance(terms, Terms):
        raise TypeError("`native_bound.cheapest` needs an instance of `Terms`. Use `numpy_bound`")
    tables, rows = _tables(instance, terms, duals), _rows(instance, terms)
    order = stable_order(
        terms.origin, len(terms.rtt_ms)
    )  # rows of an origin find its tables cached
    best = np.empty(instance.rows)
    pairs = spread(lambda a, b: _scan(tables, rows, order[a:b], best), instance.rows, chunks=CHUNKS)
    return best, sum(pairs)


@compiled
def _scan(t: _Tables, x: _Rows, order: np.ndarray, best: np.ndarray) -> int:
    """Write the least reduced cost of the rows in `order`; the number of their allowed pairs.

    A pair that the rules forbid costs inf.  Minima and counts are kept lane by lane, so that no
    order of operations has to be given up for vector registers.
    """
    t, x = lent((t, x))
    usd_per_kwh, usd_per_use, usd_per_gb = t.usd_per_kwh, t.usd_per_use, t.usd_per_gb
    use_factor, capacity = t.use_factor, t.capacity
    rtt_ms, service_ms, illegal = t.rtt_ms, t.service_ms, t.illegal
    tiles, resources = usd_per_kwh.shape[1], len(capacity)
    usd, least, count = np.empty((tiles, LANES)), np.empty(LANES), np.zeros(LANES, np.int64)
    for i in order:
        k, o, l = x.workload[i], x.origin[i], x.residency[i]
        energy, egress, zone = x.energy_kwh[i], x.egress_gb[i], x.origin_zone[i]
        for b in range(tiles):
            for j in range(LANES):
                usd[b, j] = energy * usd_per_kwh[k, b, j] + egress * usd_per_gb[zone, b, j]
        for r in range(resources):
            use = x.use[i, r]
            for b in range(tiles):
                for j in range(LANES):
                    fits = use * use_factor[k, b, j] <= capacity[r, b, j]
                    usd[b, j] = usd[b, j] + use * usd_per_use[k, r, b, j] if fits else np.inf
        current = x.current[i]
        if current >= 0:
            state, zone = x.state_gb[i], x.current_zone[i]
            at_home = usd[current // LANES, current % LANES]
            for b in range(tiles):
                for j in range(LANES):
                    usd[b, j] += t.usd_per_move + state * usd_per_gb[zone, b, j]
            usd[current // LANES, current % LANES] = at_home
        least[:] = np.inf
        budget = x.budget_ms[i]
        for b in range(tiles):
            for j in range(LANES):
                # false where the time is NaN
                near = rtt_ms[o, b, j] + service_ms[k, b, j] + illegal[l, b, j] <= budget
                value = usd[b, j] if near else np.inf
                least[j] = value if value < least[j] else least[j]
                count[j] += value < np.inf
        best[i] = least.min()
    return count.sum()


def _tables(instance: Instance, terms: Terms, duals: Duals) -> _Tables:
    """The tables per class at the duals."""
    policy = instance.policy
    usd_per_kg = policy.carbon_price_usd_per_t / 1e3 + duals.carbon
    facility = terms.price_usd_per_mwh / 1e3 + terms.carbon_g_per_kwh / 1e3 * usd_per_kg
    rtt = terms.rtt_ms * (1 + policy.latency_margin)

    def table(values: np.ndarray, fill: float = 0.0) -> np.ndarray:
        tiles = -(-instance.regions // LANES)
        padded = pad(values, tiles * LANES, axis=values.ndim - 1, fill=fill)
        return frozen(padded.reshape(*values.shape[:-1], tiles, LANES), float)

    return _Tables(
        usd_per_kwh=table(terms.energy_factor * (terms.pue * facility)),
        usd_per_use=table(terms.use_factor[:, None] * duals.capacity.T[None]),
        use_factor=table(terms.use_factor),
        capacity=table(instance.capacity.T),
        rtt_ms=table(np.where(np.isfinite(rtt), rtt, np.nan)),
        service_ms=table(np.where(terms.hosted, terms.service_ms, np.nan), np.nan),
        illegal=table(np.where(terms.legal, 0.0, np.nan)),
        usd_per_gb=table(terms.transfer[:, terms.region_zone]),
        usd_per_move=policy.move_usd + duals.moves,
    )


def _rows(instance: Instance, terms: Terms) -> _Rows:
    """The rows' numbers; int32 indices halve what is read."""
    current = instance.current
    zone = terms.region_zone[np.maximum(current, 0)]
    return _Rows(
        energy_kwh=frozen(terms.energy_kwh, float),
        egress_gb=frozen(terms.egress_gb, float),
        state_gb=frozen(terms.state_gb, float),
        budget_ms=frozen(terms.latency_budget_ms, float),
        use=frozen(instance.use, float),
        workload=frozen(terms.workload, np.int32),
        origin=frozen(terms.origin, np.int32),
        residency=frozen(terms.residency, np.int32),
        origin_zone=frozen(terms.origin_zone[terms.origin], np.int32),
        current=frozen(current, np.int32),
        current_zone=frozen(zone, np.int32),
    )
