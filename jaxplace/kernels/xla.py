"""The kernels in plain XLA: the specification of every backend, and the path on CPUs.

All are sums or selections over rows, blocked so that a tile stays in cache.  Tiles are float32;
totals are float64 (so they must run with x64 enabled).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxplace.kernels.response import Response
from jaxplace.kernels.tile import Tile, tile
from jaxplace.problem.problem import Duals, Rows, Tables
from jaxplace.shapes import BLOCK


FAR = 1e30  # a reduced cost that nobody pays


def respond(rows: Rows, tables: Tables, duals: Duals, temperature: jax.Array) -> Response:
    """Smoothed minima over the options of each row, and the load of the plan that they imply."""

    def block(total: tuple, rows: Rows) -> tuple[tuple, jax.Array]:
        t = tile(rows, tables, duals)
        soft = _soften(rows, t, temperature)
        weighted = rows.weight / soft.total
        part = (
            _sum(rows.weight * (soft.best - soft.spread * jnp.log(soft.total))),
            _sum(rows.weight * soft.best),
            _sum(weighted * soft.regret),
            _load(rows, t, soft.share, weighted).astype(jnp.float64),
            jnp.stack(
                [
                    _sum(weighted * (soft.share * use).sum(1)) if use is not None else _sum(0.0)
                    for use in (t.move, t.carbon)
                ]
            ),
        )
        return jax.tree.map(jnp.add, total, part), 1.0 - soft.square / soft.total**2

    zero = jnp.zeros((), jnp.float64)
    shape = (duals.capacity.shape[0], rows.use.shape[1])
    start = (zero, zero, zero, jnp.zeros(shape, jnp.float64), jnp.zeros(2, jnp.float64))
    totals, doubt = jax.lax.scan(block, start, _blocks(rows))
    return Response(*totals, doubt=doubt.ravel())


def curvature(rows: Rows, tables: Tables, duals: Duals, temperature: jax.Array) -> jax.Array:
    """Minus the Hessian of `respond`'s value: [q, q] float64, q = m R capacities, then budgets."""
    m, resources = duals.capacity.shape
    budgets = [d is not None for d in (duals.moves, duals.carbon)]
    size = m * resources + sum(budgets)

    def block(total: jax.Array, rows: Rows) -> tuple[jax.Array, None]:
        t = tile(rows, tables, duals)
        soft = _soften(rows, t, temperature)
        share = soft.share / soft.total[:, None]
        weight = rows.weight / soft.spread
        uses = [_factored(rows.use[:, r, None], t.factor, r) for r in range(resources)]
        uses += [
            use if use is not None else jnp.zeros_like(share)
            for use, on in zip((t.move, t.carbon), budgets, strict=True)
            if on
        ]
        return total + _covariance(share, weight, uses, resources).astype(jnp.float64), None

    start = jnp.zeros((size, size), jnp.float64)
    return jax.lax.scan(block, start, _blocks(rows))[0]


def best_regions(
    rows: Rows, tables: Tables, duals: Duals, *, k: int
) -> tuple[jax.Array, jax.Array]:
    """The k regions of least reduced cost: regions [N, k] i32 and reduced costs [N, k] f32.

    In rising order, ties by region; inf where fewer than k regions are allowed.
    """

    def block(rows: Rows) -> tuple[jax.Array, jax.Array]:
        left = tile(rows, tables, duals).reduced
        index = jnp.arange(left.shape[1], dtype=jnp.int32)[None]
        found = []
        for _ in range(k):  # XLA's top_k sorts whole rows on CPUs; k is small
            least = left.min(1)
            region = jnp.where(left <= least[:, None], index, left.shape[1]).min(1)
            found.append((region, least))
            left = jnp.where(index == region[:, None], jnp.inf, left)
        return jnp.stack([f[0] for f in found], 1), jnp.stack([f[1] for f in found], 1)

    region, reduced = jax.lax.map(block, _blocks(rows))
    return region.reshape(-1, k), reduced.reshape(-1, k)


def draw(
    rows: Rows, tables: Tables, duals: Duals, temperature: jax.Array, chance: jax.Array
) -> jax.Array:
    """A region of each row, drawn from its shares: [N] i32, -1 unplaced.

    The shares are laid end to end, the one of being left out last; `chance` [N] f32 in [0, 1) says
    where on them the row's region lies.
    """

    def block(part: tuple[Rows, jax.Array]) -> jax.Array:
        rows, chance = part
        soft = _soften(rows, tile(rows, tables, duals), temperature)
        upto = jnp.cumsum(soft.share, 1)
        beyond = upto > (chance * soft.total)[:, None]
        return jnp.where(beyond[:, -1], beyond.argmax(1), -1).astype(jnp.int32)

    blocks = _blocks(rows)
    return jax.lax.map(block, (blocks, chance.reshape(blocks.weight.shape))).ravel()


def reduced_costs(rows: Rows, tables: Tables, duals: Duals) -> jax.Array:
    """The whole matrix [N, m] f32, for subsets of rows that are small enough."""
    reduced = jax.lax.map(lambda block: tile(block, tables, duals).reduced, _blocks(rows))
    return reduced.reshape(-1, reduced.shape[-1])


class _Soft(NamedTuple):
    best: jax.Array  # [B] hard minimum, the unplaced option included
    spread: jax.Array  # [B] temperature of the row
    share: jax.Array  # [B, m] unnormalised plan
    total: jax.Array  # [B] its sum, the unplaced option included
    square: jax.Array  # [B] sum of the squared shares
    regret: jax.Array  # [B] unnormalised reduced cost above the best


def _soften(rows: Rows, t: Tile, temperature: jax.Array) -> _Soft:
    # the barriers keep XLA from making the tile, or its exponentials, anew for every sum
    reduced = jax.lax.optimization_barrier(t.reduced)
    best = jnp.minimum(reduced.min(1), rows.unplaced)
    spread = temperature * rows.scale
    above = jnp.minimum(reduced - best[:, None], FAR)  # 0 shares of inf would make NaN
    share = jax.lax.optimization_barrier(jnp.exp(above * (-1.0 / spread)[:, None]))
    left_out = rows.unplaced - best
    out = jnp.exp(-left_out / spread)
    worth = share * above
    return _Soft(
        best,
        spread,
        share,
        total=share.sum(1) + out,
        square=(share * share).sum(1) + out * out,
        regret=worth.sum(1) + out * left_out,
    )


def _factored(use: jax.Array, factor: jax.Array | None, r: int) -> jax.Array:
    if factor is None:
        return use
    return use * factor[..., r if factor.shape[-1] > 1 else 0]


def _load(rows: Rows, t: Tile, share: jax.Array, weighted: jax.Array) -> jax.Array:
    """Use at the regions, [m, R]."""
    uses = weighted[:, None] * rows.use
    if t.factor is None:
        return _rows_dot(uses, share).T
    if t.factor.shape[-1] == 1:
        return _rows_dot(uses, share * t.factor[..., 0]).T
    return jnp.einsum("bm,bmr,br->mr", share, t.factor, uses, precision="highest")


def _covariance(
    share: jax.Array, weight: jax.Array, uses: list[jax.Array], resources: int
) -> jax.Array:
    """Weighted sum over rows of the covariance of what the smoothed plan takes of constraints."""
    m = share.shape[1]
    taken = [share * use for use in uses]  # [B, m] each
    means = [
        t if r < resources else t.sum(1, keepdims=True) for r, t in enumerate(taken)
    ]  # a capacity is one region's: its mean is its share's; a budget sums over regions
    rows_out = []
    for r, mean in enumerate(means):
        row = []
        for s, other in enumerate(means):
            product = -_rows_dot(weight[:, None] * mean, other)
            raw = weight[:, None] * taken[r] * uses[s]
            if r < resources and s < resources:
                product = product + jnp.diag(raw.sum(0))
            elif r < resources:
                product = product + raw.sum(0)[:, None]
            elif s < resources:
                product = product + raw.sum(0)[None]
            else:
                product = product + raw.sum()
            row.append(product)
        rows_out.append(jnp.concatenate(row, 1))
    matrix = jnp.concatenate(rows_out, 0)
    order = jnp.arange(m * resources).reshape(resources, m).T.ravel()  # (r, j) -> (j, r)
    order = jnp.concatenate([order, jnp.arange(m * resources, len(matrix))])
    return matrix[order][:, order] if resources > 1 else matrix


def _rows_dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """Sum over rows of outer products: a [B, p], b [B, q] -> [p, q]."""
    # "highest" is float32 on GPUs too: TF32 would move the duals
    return jax.lax.dot_general(a, b, (((0,), (0,)), ((), ())), precision="highest")


def _sum(values: jax.Array | float) -> jax.Array:
    return jnp.sum(jnp.asarray(values, jnp.float64))


def _blocks(rows: Rows) -> Rows:
    return jax.tree.map(lambda f: f.reshape(-1, BLOCK, *f.shape[1:]), rows)
