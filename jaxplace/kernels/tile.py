"""A block of rows against all regions: reduced cost, use and budget use, as float32 tiles.

The tile is the only place that knows how costs, masks and uses are made up; everything else in
the kernels sees three arrays.  It is never stored: XLA fuses it into the reductions over it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxplace.problem.problem import Duals, Rows, Tables


class Tile(NamedTuple):
    """B rows against m regions."""

    reduced: jax.Array  # [B, m] f32 cost and the duals it pays; inf where not allowed
    factor: jax.Array | None  # [B, m, R] or [B, m, 1] f32, what `Rows.use` is multiplied by
    carbon: jax.Array | None  # [B, m] f32 kg of one unit; only with a carbon cap
    move: jax.Array | None  # [B, m] f32, 1 where running there is a move


def tile(rows: Rows, tables: Tables, duals: Duals) -> Tile:
    """The tile of a block of rows."""
    factor = rows.factor
    if tables.use_factor is not None:
        factor = tables.use_factor[rows.workload][..., None]
    reduced = _paid(rows, duals, factor)
    carbon = move = None
    if rows.cost is not None:
        reduced = reduced + rows.cost
    else:
        price = tables.energy
        if duals.carbon is not None:
            price = price + duals.carbon * tables.carbon
            carbon = rows.energy[:, None] * tables.carbon[rows.workload]
        reduced = reduced + rows.energy[:, None] * price[rows.workload]
        if rows.egress is not None:
            reduced = reduced + rows.egress[:, None] * tables.transfer[rows.origin_zone]
        if rows.home is not None:
            away = jnp.arange(reduced.shape[1], dtype=jnp.int32)[None] != rows.home[:, None]
            leave = rows.leave[:, None]
            if rows.state is not None:
                leave = leave + rows.state[:, None] * tables.transfer[rows.home_zone]
            if duals.moves is not None:
                placed = (rows.home >= 0).astype(jnp.float32)
                leave = leave + duals.moves * placed[:, None]
                move = jnp.where(away, placed[:, None], 0.0)
            reduced = reduced + jnp.where(away, leave, 0.0)
    return Tile(jnp.where(_allowed(rows, tables), reduced, jnp.inf), factor, carbon, move)


def _paid(rows: Rows, duals: Duals, factor: jax.Array | None) -> jax.Array:
    """What a unit pays for capacity, [B, m]."""
    resources = rows.use.shape[1]
    paid = jnp.zeros((), jnp.float32)
    for r in range(resources):  # R is 1 to 3: unrolled, so that no [B, m, R] is made
        term = rows.use[:, r, None] * duals.capacity[None, :, r]
        if factor is not None and factor.shape[-1] > 1:
            term = term * factor[..., r]
        paid = paid + term
    return paid if factor is None or factor.shape[-1] > 1 else paid * factor[..., 0]


def _allowed(rows: Rows, tables: Tables) -> jax.Array:
    if rows.allowed is not None:
        return rows.allowed
    allowed = tables.reach[rows.place] <= rows.budget[:, None]
    if rows.residency is not None:
        allowed = allowed & tables.legal[rows.residency]
    if rows.fit is not None:
        fits = tables.fit[rows.workload]
        for r in range(rows.fit.shape[1]):
            allowed = allowed & (fits[..., r] >= rows.fit[:, r, None])
    return allowed
