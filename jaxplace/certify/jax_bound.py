"""The bound's inner minimum for large instances: a plain float64 JAX pass over blocks of rows.

It shares no code with the solver, nor with the NumPy reference it is tested against.  The
reduced cost is a sum of scalars per row times rows of tables per class, so the compiled loop
gathers one row of each table, adds, masks and takes the minimum; XLA fuses that into one pass
(about 1e9 pairs/s on two cores) and no array [n, m] exists.  What no row has (egress, state,
current regions, sizes that could exceed a region) is not compiled in.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxplace.instance import Instance, Terms
from jaxplace.placement import Duals
from jaxplace.shapes import bucket, pad


BLOCK_ROWS = 512
CHUNK_PAIRS = 1 << 30  # pairs of one compiled call; bounds the rows that are padded at a time


class _Has(NamedTuple):
    """Static facts about an instance that decide what is compiled."""

    egress: bool
    current: bool
    state: bool
    size: bool  # some unit might not fit some region, depending on the row


class _Tables(NamedTuple):
    """Tables per class (m regions, k workloads, o origins, l residencies, z zones)."""

    usd_per_kwh: np.ndarray  # [k, m] of IT energy, with carbon's price and dual
    usd_per_use: np.ndarray  # [k, R, m] the duals, per unit of use before the use factor
    use_factor: np.ndarray  # [k, m]
    capacity: np.ndarray  # [R, m]
    rtt_ms: np.ndarray  # [o, m] with the margin
    service_ms: np.ndarray  # [k, m]; NaN where the workload is not hosted or does not fit
    illegal: np.ndarray  # [l, m]; 0, or NaN where forbidden
    usd_per_gb: np.ndarray  # [z, m]
    usd_per_move: np.ndarray  # [] with the dual


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
        raise TypeError("`jax_bound.cheapest` needs an instance of `Terms`. Use `numpy_bound`")
    tables, has = _tables(instance, terms, duals)
    rows = _rows(instance, terms)
    best, pairs = np.empty(instance.rows), 0
    step = max(1, CHUNK_PAIRS // (instance.regions * BLOCK_ROWS)) * BLOCK_ROWS
    with jax.enable_x64(True):
        for start in range(0, instance.rows, step):
            part = _Rows(*(x[start : start + step] for x in rows))
            size = len(part.workload)
            padded = bucket(size, smallest=BLOCK_ROWS)
            no_budget = pad(part.budget_ms, padded, fill=-np.inf)  # padding is allowed nowhere
            part = _Rows(*(pad(x, padded) for x in part))._replace(budget_ms=no_budget)
            stacked = _Rows(*(x.reshape(-1, BLOCK_ROWS, *x.shape[1:]) for x in part))
            found, allowed = _scan(tables, stacked, has)
            best[start : start + size] = np.asarray(found).reshape(-1)[:size]
            pairs += int(np.asarray(allowed).sum(dtype=np.int64))
    return best, pairs


@partial(jax.jit, static_argnames="has")
def _scan(tables: _Tables, rows: _Rows, has: _Has) -> tuple[jax.Array, jax.Array]:
    """Least reduced cost [blocks, BLOCK_ROWS] and number of allowed pairs [blocks]."""
    return lax.map(lambda block: _block(tables, block, has), rows)


def _block(tables: _Tables, rows: _Rows, has: _Has) -> tuple[jax.Array, jax.Array]:
    """Least reduced cost [b] and number of allowed pairs of one block of rows."""

    def pick(table: ArrayLike, index: ArrayLike) -> jax.Array:
        return jnp.asarray(table).at[index].get(mode="promise_in_bounds")

    usd = rows.energy_kwh[:, None] * pick(tables.usd_per_kwh, rows.workload)
    for r in range(rows.use.shape[1]):
        usd += rows.use[:, r, None] * pick(tables.usd_per_use[:, r], rows.workload)
    if has.egress:
        usd += rows.egress_gb[:, None] * pick(tables.usd_per_gb, rows.origin_zone)
    if has.current:
        extra = jnp.asarray(tables.usd_per_move)
        if has.state:
            extra += rows.state_gb[:, None] * pick(tables.usd_per_gb, rows.current_zone)
        current = rows.current[:, None]
        elsewhere = jnp.arange(usd.shape[1], dtype=current.dtype)[None] != current
        usd += jnp.where((current >= 0) & elsewhere, extra, 0.0)
    # no product is added here, so no fused multiply-add can move a tie across the budget
    ms = pick(tables.rtt_ms, rows.origin) + pick(tables.service_ms, rows.workload)
    ms += pick(tables.illegal, rows.residency)
    ok = (ms <= rows.budget_ms[:, None]) & jnp.isfinite(ms)
    if has.size:
        factor = pick(tables.use_factor, rows.workload)
        for r in range(rows.use.shape[1]):
            ok &= rows.use[:, r, None] * factor <= tables.capacity[r][None]
    best = jnp.min(jnp.where(ok, usd, jnp.inf), axis=1)
    return best, jnp.sum(ok, dtype=jnp.int32)


def _tables(instance: Instance, terms: Terms, duals: Duals) -> tuple[_Tables, _Has]:
    """The tables per class at the duals, and what the rows make use of."""
    policy = instance.policy
    usd_per_kg = policy.carbon_price_usd_per_t / 1e3 + duals.carbon
    facility = terms.price_usd_per_mwh / 1e3 + terms.carbon_g_per_kwh / 1e3 * usd_per_kg
    fits, undecided = _fits(instance, terms)
    has_current = bool((instance.current >= 0).any())
    has = _Has(
        egress=bool(terms.egress_gb.any()),
        current=has_current,
        state=has_current and bool(terms.state_gb.any()),
        size=undecided,
    )
    tables = _Tables(
        usd_per_kwh=terms.energy_factor * (terms.pue * facility),
        usd_per_use=terms.use_factor[:, None] * duals.capacity.T[None],
        use_factor=terms.use_factor,
        capacity=np.ascontiguousarray(instance.capacity.T),
        rtt_ms=terms.rtt_ms * (1 + policy.latency_margin),
        service_ms=np.where(terms.hosted & fits, terms.service_ms, np.nan),
        illegal=np.where(terms.legal, 0.0, np.nan),
        usd_per_gb=terms.transfer[:, terms.region_zone],
        usd_per_move=np.asarray(policy.move_usd + duals.moves, np.float64),
    )
    return tables, has


def _fits(instance: Instance, terms: Terms) -> tuple[np.ndarray, bool]:
    """Where the workload's smallest unit fits [k, m], and whether its largest need not."""
    fits, undecided = np.ones(terms.use_factor.shape, bool), False
    for r in range(instance.use.shape[1]):
        low = np.full(len(fits), np.inf)
        high = np.zeros(len(fits))
        np.minimum.at(low, terms.workload, instance.use[:, r])
        np.maximum.at(high, terms.workload, instance.use[:, r])
        low[np.isinf(low)] = 0.0  # a workload without rows
        smallest = low[:, None] * terms.use_factor <= instance.capacity[:, r]
        largest = high[:, None] * terms.use_factor <= instance.capacity[:, r]
        fits &= smallest
        undecided |= bool((smallest != largest).any())
    return fits, undecided


def _rows(instance: Instance, terms: Terms) -> _Rows:
    """The rows' numbers; int32 indices halve what the gathers read."""
    current = instance.current.astype(np.int32)
    return _Rows(
        energy_kwh=terms.energy_kwh,
        egress_gb=terms.egress_gb,
        state_gb=terms.state_gb,
        budget_ms=terms.latency_budget_ms,
        use=instance.use,
        workload=terms.workload.astype(np.int32),
        origin=terms.origin.astype(np.int32),
        residency=terms.residency.astype(np.int32),
        origin_zone=terms.origin_zone[terms.origin].astype(np.int32),
        current=current,
        current_zone=terms.region_zone[np.maximum(current, 0)].astype(np.int32),
    )
