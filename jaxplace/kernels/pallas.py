"""The sweeps as Pallas kernels for NVIDIA GPUs, lowered through Triton: no tile is ever in memory.

A response takes two kernels, and each computes the reduced costs anew, since a tile is cheaper to
make than to fetch.  The first gives every row its minimum and normaliser: a program owns a block of
rows and goes over the regions with a running minimum, rescaling its sums where the minimum falls
(Milakov & Gimelshein 2018), in every lane on its own; lanes meet once, at the end.  The second sums
what the rows take of every constraint: a program owns some regions and goes over a part of the
rows, so that nothing is added atomically and the same input gives the same bits.  Costs come
multiplied by the row's rate, so that a share is one instruction of the device, 2**x.  Float32 sums
cover at most `PART` rows; they are added in float64.

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
NOBODY = 1e38  # a penalty that none is above
LOG2E = 1.4426950408889634
PROGRAMS = 4096  # that the second kernel is cut into at least: some waves on a hundred processors
PART = 16_384  # most rows that one float32 sum covers
MOST_BEST = 4  # regions a row: each costs two reductions per tile
COSTS = ("energy", "egress", "state", "leave")
CLASS = ("workload", "origin_zone", "home_zone", "place", "residency")  # rows of the tables
FIELDS = (*COSTS, "home", "budget", *CLASS)


class Shape(NamedTuple):
    """How a program's tile is cut; powers of two."""

    rows: int = 16  # at most `BLOCK`
    regions: int = 64  # less where the padded number of regions is no multiple of it
    warps: int = 4


SHAPE, SUMS_SHAPE = Shape(), Shape(rows=4, regions=512, warps=4)


def respond(
    rows: Rows,
    tables: Tables,
    duals: Duals,
    temperature: jax.Array,
    *,
    shape: Shape = SHAPE,
    sums_shape: Shape = SUMS_SHAPE,
    interpret: bool = False,
) -> Response:
    """See `xla.respond`: the same numbers up to float32, sums in another order."""
    if rows.cost is not None:
        return xla.respond(rows, tables, duals, temperature)
    rate = LOG2E / (temperature * rows.scale)
    unplaced = jnp.minimum(rows.unplaced * rate, NOBODY)
    given = _Given.of(rows, tables, duals, shape, rate=rate).with_rows(unplaced=unplaced)
    kernel = partial(_soften_kernel, _power(interpret))
    least, total, square = _by_rows(kernel, given, (jnp.float32,) * 3, interpret)
    best = jnp.where(least < NOBODY, least / rate, rows.unplaced)
    weighted = rows.weight / total
    left_out = unplaced - least
    taken: dict[str, Any] = {
        "use": tuple(weighted * rows.use[:, r] for r in range(rows.use.shape[1])),
        "regret": weighted / rate,
    }
    if rows.home is not None and duals.moves is not None:
        taken["move"] = jnp.where(rows.home >= 0, weighted, 0.0)
    if duals.carbon is not None:
        taken["carbon"] = weighted * rows.energy
    load, other = _sums(given.with_rows(least=least).cut(sums_shape), taken, interpret)
    return Response(
        value=_sum(rows.weight * (best - jnp.log2(total) / rate)),
        exact=_sum(rows.weight * best),
        regret=_sum(weighted * jnp.exp2(-left_out) * left_out / rate) + other["regret"],
        load=load,
        budget=jnp.stack([other.get(name, jnp.zeros(())) for name in ("move", "carbon")]),
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
        cls,
        rows: Rows,
        tables: Tables,
        duals: Duals,
        shape: Shape,
        rate: jax.Array | float = 1.0,
    ) -> "_Given":
        """Lay a problem out, budgets' duals folded into rows and tables, costs times `rate`."""
        fields: dict[str, Any] = {name: getattr(rows, name) for name in FIELDS}
        if rows.home is not None and duals.moves is not None:
            fields["leave"] = rows.leave + jnp.where(rows.home >= 0, duals.moves, 0.0)
        for name in COSTS:
            fields[name] = None if fields[name] is None else fields[name] * rate
        fields |= {
            "paid": tuple(use * rate for use in _columns(rows.use) or ()),
            "fit": _columns(rows.fit),
        }
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
        return cls(_there(fields), _there(entries), _columns(duals.capacity), shape).cut(shape)

    def cut(self, shape: Shape) -> "_Given":
        """The same with tiles of a shape, or narrower."""
        return self._replace(
            shape=shape._replace(regions=_divisor(self.duals[0].size, shape.regions))
        )

    def with_rows(self, **more: Any) -> "_Given":
        """The same with more row fields."""
        return self._replace(rows={**self.rows, **more})


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
    given: _Given, taken: dict[str, Any], interpret: bool
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Loads [m, R] of the smoothed plan, and its regret, moves and kg, each [], in float64."""
    m, (b, width, warps) = given.duals[0].size, given.shape
    blocks, tiles = given.rows["energy"].size // b, m // width
    step = BLOCK // b  # row blocks of the smallest part
    part = min(max(blocks * tiles // (PROGRAMS * step), 1), PART // BLOCK) * step
    parts = -(-blocks // part)
    names = sorted(taken.keys() - {"use"})
    count = len(taken["use"]) + len(names)
    sums = pl.pallas_call(
        partial(_sums_kernel, _power(interpret), given.shape, blocks, part),
        grid=(parts, tiles),
        out_shape=[jax.ShapeDtypeStruct((parts, m), jnp.float32)] * count,
        out_specs=[pl.BlockSpec((None, width), lambda p, t: (p, t))] * count,
        compiler_params=triton.CompilerParams(num_warps=warps),
        interpret=interpret,
    )(given.with_rows(taken=taken).rows, given.tables, given.duals)
    totals = [s.astype(jnp.float64).sum(0) for s in sums]
    resources = len(taken["use"])
    others = {name: totals[resources + i].sum() for i, name in enumerate(names)}
    return jnp.stack(totals[:resources], 1), others


def _power(interpret: bool) -> Any:
    """2 to a power <= 0, float32, without denormals: the instruction alone is a quarter of it."""
    if interpret:
        return jnp.exp2

    def power(x: jax.Array) -> jax.Array:
        return triton.elementwise_inline_asm(
            "ex2.approx.ftz.f32 $0, $1;", args=[x], constraints="=r,r", pack=1,
            result_shape_dtypes=[jax.ShapeDtypeStruct(x.shape, x.dtype)],
        )[0]  # fmt: skip

    return power


def _sum(values: jax.Array) -> jax.Array:
    return jnp.sum(values.astype(jnp.float64))


# Below: what runs in the kernels.  `rows`, `tables` and `duals` are references there, and `block`
# holds the values of one block of rows.


def _soften_kernel(
    power: Any, shape: Shape, rows: dict, tables: dict, duals: tuple, *out: Any
) -> None:
    """Least cost, and the sums over the options of share and of its square.

    Minima and sums are kept place by place of the tile, and meet at the end: no value crosses
    from thread to thread while the tiles go by.
    """
    block = _rows_at(rows, pl.program_id(0), shape)
    unplaced = block["unplaced"]

    def tile(t: jax.Array, state: tuple) -> tuple:
        least, total, square = state
        reduced = _tile(block, tables, duals, t, shape).reduced
        lower = jnp.minimum(least, reduced)
        kept, share = power(lower - least), power(lower - reduced)
        return lower, total * kept + share, square * (kept * kept) + share * share

    zeros = jnp.zeros((shape.rows, shape.regions), jnp.float32)
    start = unplaced[:, None] + zeros, zeros, zeros
    lower, total, square = _over_tiles(tile, start, duals, shape)
    least = lower.min(1)
    kept, left_out = power(least[:, None] - lower), power(least - unplaced)
    found = (
        least,
        (total * kept).sum(1) + left_out,
        (square * (kept * kept)).sum(1) + left_out * left_out,
    )
    for ref, values in zip(out, found, strict=True):
        ref[...] = values


def _sums_kernel(
    power: Any, shape: Shape, blocks: int, part: int, rows: dict, tables: dict, duals: tuple,
    *sums_out: Any,
) -> None:  # fmt: skip
    """What the rows of one part take of each constraint at the regions of one tile."""
    first, t = pl.program_id(0) * part, pl.program_id(1)

    def add(i: jax.Array, sums: tuple) -> tuple:
        block = _rows_at(rows, i, shape)
        taken = block["taken"]
        reduced, factor, away = _tile(block, tables, duals, t, shape)
        # the other kernel may have rounded the least cost differently by a bit
        below = jnp.minimum(block["least"][:, None] - reduced, 0.0)
        share = power(below)
        used = share if factor is None else share * factor
        found = [used * use[:, None] for use in taken["use"]]
        for name in sorted(taken.keys() - {"use"}):
            each = taken[name][:, None]
            if name == "carbon":
                found.append(share * _take(tables["carbon"], block["workload"], t, shape) * each)
            elif name == "move":
                found.append(jnp.where(away, share * each, 0.0))
            else:
                found.append(share * -below * each)
        return tuple(s + f for s, f in zip(sums, found, strict=True))

    zeros = jnp.zeros((shape.rows, shape.regions), jnp.float32)
    last = jnp.minimum(first + part, blocks)
    sums = jax.lax.fori_loop(first, last, add, (zeros,) * len(sums_out))
    for ref, values in zip(sums_out, sums, strict=True):
        ref[...] = values.sum(0)


def _best_kernel(shape: Shape, rows: dict, tables: dict, duals: tuple, *found_out: Any) -> None:
    """The regions of least reduced cost in rising order, then those costs.

    Each place of the tile keeps its own list, and the lists are merged at the end.
    """
    block = _rows_at(rows, pl.program_id(0), shape)
    k, m = len(found_out) // 2, duals[0].shape[0]
    size = (shape.rows, shape.regions)

    def tile(t: jax.Array, found: tuple) -> tuple:
        cost = _tile(block, tables, duals, t, shape, barred=jnp.inf).reduced
        region = jnp.broadcast_to(_regions(t, shape), size)
        regions, costs = list(found[:k]), list(found[k:])
        for s in range(k):  # insert it; an earlier region keeps its place in a tie
            less, was, cost_was = cost < costs[s], regions[s], costs[s]
            regions[s], costs[s] = jnp.where(less, region, was), jnp.where(less, cost, cost_was)
            region, cost = jnp.where(less, was, region), jnp.where(less, cost_was, cost)
        return *regions, *costs

    start = (jnp.zeros(size, jnp.int32),) * k + (jnp.full(size, jnp.inf, jnp.float32),) * k
    found = _over_tiles(tile, start, duals, shape)
    regions, costs = list(found[:k]), list(found[k:])
    for s in range(k):
        cost = costs[0].min(1)
        region = jnp.where(costs[0] <= cost[:, None], regions[0], m).min(1)
        found_out[s][...], found_out[k + s][...] = region, cost
        taken = regions[0] == region[:, None]
        for r in range(k):  # the list that it came from moves up
            after = (regions[r + 1], costs[r + 1]) if r + 1 < k else (regions[r], jnp.inf)
            regions[r] = jnp.where(taken, after[0], regions[r])
            costs[r] = jnp.where(taken, after[1], costs[r])


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
    for use, dual in zip(block["paid"], duals, strict=True):
        price = dual[pl.ds(t * shape.regions, shape.regions)][None]
        reduced += use[:, None] * (price if factor is None else price * factor)
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
