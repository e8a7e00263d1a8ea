"""The sweeps as Pallas kernels for NVIDIA GPUs, lowered through Triton: no tile is ever in memory.

A response takes two kernels, and each computes the reduced costs anew, since a tile is cheaper to
make than to fetch.  The first gives every row its minimum and normaliser: a program owns a block of
rows and goes over the regions with a running minimum, rescaling its sums where the minimum falls
(Milakov & Gimelshein 2018).  The second sums what the rows take of every constraint: a program owns
some regions and goes over a part of the rows, so that nothing is added atomically and the same
input gives the same bits.  Its float32 sums cover at most `PART` rows; they are added in float64.

Rows are sorted by class, so the rows of a block mostly read the same few rows of every table, which
stay in the nearest cache: gathering them costs less than the arithmetic on them.

Dense instances have the tile in memory already and go to `xla`.  So does `curvature`, whose time is
that of a float32 matrix product, and `best_regions` for more than `MOST_BEST` regions.

The kernels use loads with index arrays, loops, elementwise operations and reductions only, so that
they also run on the CPU with `interpret=True`: their numbers are tested there, and that they lower
for a GPU.  What no test without a GPU can see is measured by `scripts/gpu_check`: speed, the best
`Shape` (the default is from the compiler's count of registers), and the last bits of `exp2`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from jaxplace.kernels import xla
from jaxplace.kernels.response import Response
from jaxplace.problem.problem import Duals, Rows, Tables
from jaxplace.shapes import BLOCK


BARRED = 2e38  # reduced cost where a row may not go: above any penalty, and finite less any other
LOG2E = 1.4426950408889634
PROGRAMS = 4096  # that the second kernel is cut into at least: some waves on a hundred processors
PART = 16_384  # most rows that one float32 sum covers
MOST_BEST = 4  # regions a row: each costs two reductions per tile
FIELDS = (
    "energy", "egress", "state", "leave", "home", "workload", "origin_zone", "home_zone",
    "place", "budget", "residency",
)  # fmt: skip


class Shape(NamedTuple):
    """How a program's tile is cut; powers of two."""

    rows: int = 16  # at most `BLOCK`
    regions: int = 128  # less where the padded number of regions is no multiple of it
    warps: int = 8  # with 4, the first kernel takes 255 registers a thread


SHAPE = Shape()


def respond(
    rows: Rows,
    tables: Tables,
    duals: Duals,
    temperature: jax.Array,
    *,
    shape: Shape = SHAPE,
    interpret: bool = False,
) -> Response:
    """See `xla.respond`: the same numbers up to float32, sums in another order."""
    if rows.cost is not None:
        return xla.respond(rows, tables, duals, temperature)
    spread = temperature * rows.scale
    given = _Given.of(rows, tables, duals, shape, rate=-LOG2E / spread, unplaced=rows.unplaced)
    best, total, square, regret = _by_rows(_soften_kernel, given, (jnp.float32,) * 4, interpret)
    weighted = rows.weight / total
    taken: dict[str, Any] = {
        "use": tuple(weighted * rows.use[:, r] for r in range(rows.use.shape[1]))
    }
    if rows.home is not None and duals.moves is not None:
        taken["move"] = jnp.where(rows.home >= 0, weighted, 0.0)
    if duals.carbon is not None:
        taken["carbon"] = weighted * rows.energy
    load, moves, carbon = _sums(given, best, taken, interpret)
    return Response(
        value=_sum(rows.weight * (best - spread * jnp.log(total))),
        exact=_sum(rows.weight * best),
        regret=_sum(weighted * regret),
        load=load,
        budget=jnp.stack([moves, carbon]),
        doubt=1.0 - square / total**2,
    )


def curvature(
    rows: Rows, tables: Tables, duals: Duals, temperature: jax.Array, *, interpret: bool = False
) -> jax.Array:
    """See `xla.curvature`, which this is."""
    del interpret
    return xla.curvature(rows, tables, duals, temperature)


def best_regions(
    rows: Rows,
    tables: Tables,
    duals: Duals,
    *,
    k: int,
    shape: Shape = SHAPE,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """See `xla.best_regions`."""
    if rows.cost is not None or k > MOST_BEST:
        return xla.best_regions(rows, tables, duals, k=k)
    given = _Given.of(rows, tables, duals, shape)
    found = _by_rows(_best_kernel, given, (jnp.int32,) * k + (jnp.float32,) * k, interpret)
    return jnp.stack(found[:k], 1), jnp.stack(found[k:], 1)


class _Given(NamedTuple):
    """What the kernels read: dicts of arrays, without what the instance lacks.

    Resources are tuples of arrays, not an axis, so that every load is contiguous.
    """

    rows: dict[str, Any]  # [N] each
    tables: dict[str, Any]  # [classes, m] each
    duals: tuple[jax.Array, ...]  # R times [m]
    shape: Shape

    @classmethod
    def of(
        cls, rows: Rows, tables: Tables, duals: Duals, shape: Shape, **more: jax.Array
    ) -> "_Given":
        """Lay a problem out, with the budgets' duals folded into rows and tables."""
        m = duals.capacity.shape[0]
        shape = shape._replace(regions=_divisor(m, shape.regions))
        fields: dict[str, Any] = {name: getattr(rows, name) for name in FIELDS}
        fields |= {"use": _columns(rows.use), "fit": _columns(rows.fit), **more}
        if rows.home is not None and duals.moves is not None:
            fields["leave"] = rows.leave + jnp.where(rows.home >= 0, duals.moves, 0.0)
        entries: dict[str, Any] = {
            "price": tables.energy,
            "use_factor": tables.use_factor,
            "transfer": tables.transfer,
            "reach": tables.reach,
            # Triton has no arrays of single bits
            "legal": None if rows.residency is None else tables.legal.astype(jnp.int32),
            "fit": None if rows.fit is None else _columns(tables.fit),
        }
        if duals.carbon is not None:
            entries["price"] = tables.energy + duals.carbon * tables.carbon
            entries["carbon"] = tables.carbon
        return cls(_there(fields), _there(entries), _columns(duals.capacity), shape)


def _there(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: values for name, values in fields.items() if values is not None}


def _columns(values: jax.Array | None) -> tuple[jax.Array, ...] | None:
    return None if values is None else tuple(values[..., r] for r in range(values.shape[-1]))


def _divisor(m: int, most: int) -> int:
    """The largest power of two that divides m, at most `most`."""
    return min(m & -m, most)


def _by_rows(kernel: Any, given: _Given, types: tuple, interpret: bool) -> tuple[jax.Array, ...]:
    """Run a kernel with one program per block of rows; its results are [N] each."""
    n, b = given.rows["energy"].size, given.shape.rows
    return pl.pallas_call(
        partial(kernel, given.shape),
        grid=(n // b,),
        out_shape=[jax.ShapeDtypeStruct((n,), t) for t in types],
        out_specs=[pl.BlockSpec((b,), lambda i: (i,)) for _ in types],
        compiler_params=triton.CompilerParams(num_warps=given.shape.warps),
        interpret=interpret,
    )(given.rows, given.tables, given.duals)


def _sums(
    given: _Given, best: jax.Array, taken: dict[str, Any], interpret: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Loads [m, R], moves [] and kg [] of the smoothed plan, float64."""
    m, (b, width, warps) = given.duals[0].size, given.shape
    blocks, tiles = given.rows["energy"].size // b, m // width
    step = BLOCK // b  # row blocks of the smallest part
    part = min(max(blocks * tiles // (PROGRAMS * step), 1), PART // BLOCK) * step
    parts = -(-blocks // part)
    names = sorted(taken.keys() - {"use"})
    count = len(taken["use"]) + len(names)
    sums = pl.pallas_call(
        partial(_sums_kernel, given.shape, blocks, part),
        grid=(parts, tiles),
        out_shape=[jax.ShapeDtypeStruct((parts, m), jnp.float32)] * count,
        out_specs=[pl.BlockSpec((None, width), lambda p, t: (p, t))] * count,
        compiler_params=triton.CompilerParams(num_warps=warps),
        interpret=interpret,
    )({**given.rows, "best": best, "taken": taken}, given.tables, given.duals)
    totals = [s.astype(jnp.float64).sum(0) for s in sums]
    budget = {name: totals[len(taken["use"]) + i].sum() for i, name in enumerate(names)}
    zero = jnp.zeros((), jnp.float64)
    load = jnp.stack(totals[: len(taken["use"])], 1)
    return load, budget.get("move", zero), budget.get("carbon", zero)


def _sum(values: jax.Array) -> jax.Array:
    return jnp.sum(values.astype(jnp.float64))


# Below: what runs in the kernels.  `rows`, `tables` and `duals` are references there, and `block`
# holds the values of one block of rows.


def _soften_kernel(
    shape: Shape, rows: dict, tables: dict, duals: tuple, best_out: Any, *sums_out: Any
) -> None:
    """Least cost, and sums over the options of share, its square and its regret."""
    block = _rows_at(rows, pl.program_id(0), shape)
    unplaced, rate = block["unplaced"], block["rate"]

    def tile(t: jax.Array, state: tuple) -> tuple:
        best, total, square, regret = state
        reduced = _tile(block, tables, duals, t, shape).reduced
        least = jnp.minimum(best, reduced.min(1))
        fallen = (best - least)[:, None]
        kept = jnp.exp2(fallen * rate[:, None])
        above = reduced - least[:, None]
        share = jnp.exp2(above * rate[:, None])
        # sums stay spread over the tile: one reduction at the end instead of three per tile
        regret = (regret + total * fallen) * kept + share * above
        return least, total * kept + share, square * (kept * kept) + share * share, regret

    zeros = jnp.zeros((shape.rows, shape.regions), jnp.float32)
    best, *sums = _over_tiles(tile, (unplaced, zeros, zeros, zeros), duals, shape)
    left_out = unplaced - best
    out = jnp.exp2(left_out * rate)
    best_out[...] = best
    for ref, values, last in zip(sums_out, sums, (out, out * out, out * left_out), strict=True):
        ref[...] = values.sum(1) + last


def _sums_kernel(
    shape: Shape, blocks: int, part: int, rows: dict, tables: dict, duals: tuple, *sums_out: Any
) -> None:
    """What the rows of one part take of each constraint at the regions of one tile."""
    first, t = pl.program_id(0) * part, pl.program_id(1)

    def add(i: jax.Array, sums: tuple) -> tuple:
        block = _rows_at(rows, i, shape)
        taken = block["taken"]
        reduced, factor, away = _tile(block, tables, duals, t, shape)
        # the other kernel may have rounded the least cost differently by a bit
        above = jnp.maximum(reduced - block["best"][:, None], 0.0)
        share = jnp.exp2(above * block["rate"][:, None])
        used = share if factor is None else share * factor
        found = [used * use[:, None] for use in taken["use"]]
        if "carbon" in taken:
            kg = _take(tables["carbon"], block["workload"], t, shape)
            found.append(share * kg * taken["carbon"][:, None])
        if "move" in taken:
            found.append(jnp.where(away, share * taken["move"][:, None], 0.0))
        return tuple(s + f for s, f in zip(sums, found, strict=True))

    zeros = jnp.zeros((shape.rows, shape.regions), jnp.float32)
    last = jnp.minimum(first + part, blocks)
    sums = jax.lax.fori_loop(first, last, add, (zeros,) * len(sums_out))
    for ref, values in zip(sums_out, sums, strict=True):
        ref[...] = values.sum(0)


def _best_kernel(shape: Shape, rows: dict, tables: dict, duals: tuple, *found_out: Any) -> None:
    """The regions of least reduced cost in rising order, then those costs."""
    block = _rows_at(rows, pl.program_id(0), shape)
    k, m = len(found_out) // 2, duals[0].shape[0]

    def tile(t: jax.Array, found: tuple) -> tuple:
        index = _regions(t, shape)
        left = _tile(block, tables, duals, t, shape, barred=jnp.inf).reduced
        regions, costs = list(found[:k]), list(found[k:])
        for _ in range(k):
            cost = left.min(1)
            region = jnp.where(left <= cost[:, None], index, m).min(1)
            left = jnp.where(index == region[:, None], jnp.inf, left)
            for s in range(k):  # insert it; an earlier region keeps its place in a tie
                less, was, cost_was = cost < costs[s], regions[s], costs[s]
                regions[s], costs[s] = jnp.where(less, region, was), jnp.where(less, cost, cost_was)
                region, cost = jnp.where(less, was, region), jnp.where(less, cost_was, cost)
        return *regions, *costs

    start = (jnp.zeros(shape.rows, jnp.int32),) * k
    start += (jnp.full(shape.rows, jnp.inf, jnp.float32),) * k
    found = _over_tiles(tile, start, duals, shape)
    for ref, value in zip(found_out, found, strict=True):
        ref[...] = value


def _over_tiles(tile: Any, start: tuple, duals: tuple, shape: Shape) -> tuple:
    tiles = duals[0].shape[0] // shape.regions
    return jax.lax.fori_loop(jnp.int32(0), jnp.int32(tiles), tile, start)


def _rows_at(rows: dict, i: jax.Array, shape: Shape) -> dict:
    """The values of the i-th block of rows."""
    return jax.tree.map(lambda ref: ref[pl.ds(i * shape.rows, shape.rows)], rows)


def _regions(t: jax.Array, shape: Shape) -> jax.Array:
    """[1, regions of a tile] the numbers of the t-th tile's regions."""
    offset = jax.lax.broadcasted_iota(jnp.int32, (1, shape.regions), 1)
    return t * shape.regions + offset


def _take(table: Any, index: jax.Array, t: jax.Array, shape: Shape) -> jax.Array:
    """Each row's entries of a table [classes, m] for the t-th tile's regions."""
    return table[index, pl.ds(t * shape.regions, shape.regions)]


class _Tile(NamedTuple):
    """Rows against regions; see `tile.Tile`."""

    reduced: jax.Array
    factor: jax.Array | None
    away: jax.Array | None  # bool: running there is a move of a row that runs somewhere


def _tile(
    block: dict, tables: dict, duals: tuple, t: jax.Array, shape: Shape, barred: float = BARRED
) -> _Tile:
    """`tile.tile` for the t-th tile."""
    take = partial(_take, t=t, shape=shape)
    work, factor, away = block["workload"], None, None
    if "use_factor" in tables:
        factor = take(tables["use_factor"], work)
    reduced = block["energy"][:, None] * take(tables["price"], work)
    for use, dual in zip(block["use"], duals, strict=True):
        paid = dual[pl.ds(t * shape.regions, shape.regions)][None]
        reduced += use[:, None] * (paid if factor is None else paid * factor)
    if "egress" in block:
        reduced += block["egress"][:, None] * take(tables["transfer"], block["origin_zone"])
    if "home" in block:
        leave = block["leave"][:, None]
        if "state" in block:
            leave += block["state"][:, None] * take(tables["transfer"], block["home_zone"])
        away = _regions(t, shape) != block["home"][:, None]
        reduced += jnp.where(away, leave, 0.0)
    allowed = take(tables["reach"], block["place"]) <= block["budget"][:, None]
    if "legal" in tables:
        allowed &= take(tables["legal"], block["residency"]) != 0
    for fits, size in zip(tables.get("fit", ()), block.get("fit", ()), strict=True):
        allowed &= take(fits, work) >= size[:, None]
    return _Tile(jnp.where(allowed, reduced, barred), factor, away)
