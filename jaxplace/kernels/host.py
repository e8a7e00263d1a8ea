"""The kernels as compiled loops: the path on CPUs for instances whose costs are terms by class.

What XLA's tiles cannot have here: a row visits only the regions that its class may use and its
latency budget reaches, a prefix of the class's menu; the terms of the class are gathered once
for all its rows that follow each other; loads are summed in menu order, so nothing is scattered
per pair; and the exponential is a polynomial on vector registers.  Values are float32, sums
over rows float64; `xla.py` is the specification.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import float32, int32, types, uint64
from numba.extending import intrinsic

from jaxplace.kernels.response import Response
from jaxplace.native import compiled, spread
from jaxplace.problem import menus as book
from jaxplace.problem.menus import Menus
from jaxplace.problem.problem import Duals, Rows, Tables


CHUNKS = 16  # parts that a pass is cut into; sums are by part, then over the parts in order
# positions on menus are unsigned: for signed ones, Numba looks at each whether it counts from the
# end, and vector registers stay empty
TILE = np.uint64(book.TILE)
FLUSH = 256  # rows after which float32 loads go to the float64 totals
FAR = np.float32(1e30)  # a reduced cost that nobody pays
CUT = np.float32(1e-7)  # shares below it carry no curvature
LOG2E = np.float32(1.4426950408889634)
LOWEST = np.float32(-50.0)  # shares below 2**-50 of the best's are 0; so squares stay normal
FLOOR = np.float32(2.0**-50)
CERTAIN = np.float32(50.0 / 1.4426950408889634)  # the same in temperatures above the best
# (2^f - 1) / f on (-1, 0] in rising powers; error 1e-8 of 2^f
C0, C1, C2, C3, C4, C5 = (
    np.float32(c)
    for c in (0.693147175, 0.240226098, 0.0554992779, 0.00959716991, 0.00129179035, 0.000114981188)
)
ONE, BIAS, SHIFT = np.float32(1), np.int32(127), np.int32(23)


class HostRows(NamedTuple):
    """`Rows` as NumPy arrays; a field that the instance lacks is one row, `on` says 0 for it."""

    weight: np.ndarray
    use: np.ndarray
    unplaced: np.ndarray
    scale: np.ndarray
    energy: np.ndarray
    egress: np.ndarray
    state: np.ndarray
    leave: np.ndarray
    home: np.ndarray
    home_zone: np.ndarray
    place: np.ndarray
    budget: np.ndarray
    residency: np.ndarray
    fit: np.ndarray


class On(NamedTuple):
    """1 where the instance has it, else 0: what an index is multiplied by."""

    egress: int
    moves: int
    state: int
    residency: int
    fit: int
    carbon: int  # a budget
    toll: int  # a budget on moves


class Prices(NamedTuple):
    """Duals and what is paid for data."""

    capacity: np.ndarray  # [m, R] f32
    moves: np.float32
    carbon: np.float32
    transfer: np.ndarray  # [z, m] f32


class Desk(NamedTuple):
    """Scratch of one thread: a class's terms that depend on duals, and the row at hand."""

    paid: np.ndarray  # [R, m] f32, and so the rest: duals times the use factor
    energy: np.ndarray  # [m] with the carbon budget's dual
    state: np.ndarray  # [m]
    reduced: np.ndarray  # [m] FAR where the row may not go, up to the end of its last tile
    share: np.ndarray  # [m] in the tiles that `tile` lists
    load: np.ndarray  # [R, m]
    least: np.ndarray  # [tiles] of `reduced`
    tile: np.ndarray  # [tiles] int32


def respond(rows: Rows, tables: Tables, menus: Menus, duals: Duals, temperature: float) -> Response:
    """See `xla.respond`."""
    r, on, d = _host(rows, tables, duals)
    n, (m, resources) = len(r.weight), d.capacity.shape
    doubt = np.empty(n, np.float32)

    def part(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        sums, load = np.zeros(5), np.zeros((m, resources))
        _respond(r, menus, on, d, _desk(m, resources), temperature, start, stop, sums, load, doubt)
        return sums, load

    parts = spread(part, n, chunks=CHUNKS)
    sums, load = (np.sum([p[i] for p in parts], axis=0) for i in (0, 1))
    return Response(sums[0], sums[1], sums[2], load, sums[3:], doubt)


def curvature(
    rows: Rows, tables: Tables, menus: Menus, duals: Duals, temperature: float
) -> np.ndarray:
    """See `xla.curvature`; shares below CUT are left out."""
    r, on, d = _host(rows, tables, duals)
    m, resources = d.capacity.shape
    size = m * resources
    slots = np.full(2, -1)
    for b, dual in enumerate((duals.moves, duals.carbon)):
        if dual is not None:
            slots[b], size = size, size + 1

    def part(start: int, stop: int) -> np.ndarray:
        matrix = np.zeros((size, size))
        desk = _desk(m, resources)
        _curvature(r, menus, on, d, desk, temperature, start, stop, slots, matrix)
        return matrix

    parts = spread(part, len(r.weight), chunks=2)
    return sum(parts[1:], parts[0])


def best_regions(
    rows: Rows, tables: Tables, menus: Menus, duals: Duals, *, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """See `xla.best_regions`."""
    r, on, d = _host(rows, tables, duals)
    n, (m, resources) = len(r.weight), d.capacity.shape
    region, reduced = np.zeros((n, k), np.int32), np.full((n, k), np.inf, np.float32)

    def part(start: int, stop: int) -> None:
        desk = _desk(m, resources)
        _best(r, menus, on, d, desk, start, stop, region, reduced)

    spread(part, n, chunks=CHUNKS)
    return region, reduced


def _dual(dual: Any) -> np.float32:
    return np.float32(0.0 if dual is None else dual)


def _desk(m: int, resources: int) -> Desk:
    tiles = -(-m // book.TILE)
    width = tiles * book.TILE
    one, each = np.zeros((4, width), np.float32), np.zeros((2, resources, width))
    paid, load = each.astype(np.float32)
    energy, state, reduced, share = one
    return Desk(paid, energy, state, reduced, share, load,
        np.zeros(tiles, np.float32), np.zeros(tiles, np.int32))  # fmt: skip


def _host(rows: Rows, tables: Tables, duals: Duals) -> tuple[HostRows, On, Prices]:
    """Everything as NumPy arrays; on CPUs these are views."""
    capacity = np.ascontiguousarray(np.asarray(duals.capacity, np.float32))
    m, resources = capacity.shape
    floats, integers = np.zeros(1, np.float32), np.zeros(1, np.int32)
    wide = {"fit": np.zeros((1, resources), np.int32)}
    whole = ("home", "home_zone", "place", "budget", "residency")
    fields = {}
    for name in HostRows._fields:
        values = getattr(rows, name)
        missing = wide.get(name, integers if name in whole else floats)
        fields[name] = missing if values is None else np.asarray(values)
    on = On(
        egress=int(rows.egress is not None),
        moves=int(rows.home is not None),
        state=int(rows.state is not None),
        residency=int(rows.residency is not None),
        fit=int(tables.fit is not None),
        carbon=int(duals.carbon is not None),
        toll=int(duals.moves is not None),
    )
    none = np.zeros((1, m), np.float32)
    transfer = none if tables.transfer is None else np.asarray(tables.transfer)
    return (
        HostRows(**fields),
        on,
        Prices(capacity, _dual(duals.moves), _dual(duals.carbon), transfer),
    )


@intrinsic
def _as_float(typing, bits):
    """The float32 with these bits."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


_fast = partial(compiled, fast=True)
_inner = partial(compiled, fast=True, inline=True)


@_inner
def _exp2(z):
    """2**z for z in [LOWEST, 0]."""
    whole = int32(z)
    f = z - float32(whole)
    poly = C5
    poly = poly * f + C4
    poly = poly * f + C3
    poly = poly * f + C2
    poly = poly * f + C1
    poly = poly * f + C0
    return (poly * f + ONE) * _as_float(int32((whole + BIAS) << SHIFT))


@_inner
def _tiles(reach):
    return (reach + TILE - uint64(1)) // TILE


@_inner
def _enter(place, residency, home_zone, of, start, size, factor, region, energy, carbon, capacity,
           carbon_dual, transfer, paid, price, state, i, h, residencies, states):  # fmt: skip
    """Lay out what row i's class pays; h is the row before it, or -1.  Its class."""
    same = h >= 0 and place[i] == place[h]
    same = same and residency[i * residencies] == residency[h * residencies]
    menu = of[place[i], residency[i * residencies]]
    first, entries = uint64(start[menu]), uint64(size[menu])
    if not same:
        for k in range(capacity.shape[1]):
            for p in range(entries):
                paid[k, p] = factor[first + p] * capacity[region[first + p], k]
        for p in range(entries):
            price[p] = energy[first + p] + carbon_dual * carbon[first + p]
    if states and (not same or home_zone[i] != home_zone[h]):
        zone = home_zone[i]
        for p in range(entries):
            state[p] = transfer[zone, region[first + p]]
    return menu


@_inner
def _reduce(first, entries, budget, kwh, gb, state_gb, leave, home, fits, use, rank, region, egress,
            fit, least_fit, paid, price, state, reduced, least, i, menu, on_fit):  # fmt: skip
    """Fill `reduced` and `least` for row i; how many regions are in reach, and which is home."""
    reach, high = uint64(0), entries
    while reach < high:
        middle = (reach + high) >> uint64(1)
        if rank[first + middle] <= budget:
            reach = middle + uint64(1)
        else:
            high = middle
    tiles = _tiles(reach)
    taken = use[i, 0]
    for p in range(tiles * TILE):
        reduced[p] = (
            kwh * price[p]
            + taken * paid[0, p]
            + gb * egress[first + p]
            + state_gb * state[p]
            + leave
        )
    for k in range(1, paid.shape[0]):
        taken = use[i, k]
        for p in range(reach):
            reduced[p] += taken * paid[k, p]
    stays = int32(-1)
    if home >= 0:
        for p in range(reach):  # one of them at most; without a break it runs on vector registers
            stays = max(stays, int32(p) if region[first + p] == home else int32(-1))
    if stays >= 0:
        p = uint64(stays)
        value = kwh * price[p] + gb * egress[first + p]
        for k in range(paid.shape[0]):
            value += use[i, k] * paid[k, p]
        reduced[p] = value
    if on_fit:
        for k in range(paid.shape[0]):
            size_rank = fits[i, k]
            if size_rank > least_fit[k, menu]:
                for p in range(reach):
                    reduced[p] = reduced[p] if fit[k, first + p] >= size_rank else FAR
    for p in range(reach, tiles * TILE):
        reduced[p] = FAR
    for tile in range(tiles):
        lowest, at = FAR, tile * TILE
        for p in range(at, at + TILE):
            lowest = reduced[p] if reduced[p] < lowest else lowest
        least[tile] = lowest
    return reach, stays


@_inner
def _soften(unplaced, wide, tiles, reduced, least, share, tile_used):
    """Fill `share` in the tiles that `tile_used` lists, where it is not 0.

    Returns the best, the sum of shares, the share left out, the sum of squares, the regret and
    the number of tiles.
    """
    best = unplaced
    for tile in range(tiles):
        best = min(best, least[tile])
    slope = -LOG2E / wide
    total, square, regret = float32(0), float32(0), float32(0)
    limit = best + CERTAIN * wide
    used = 0
    for tile in range(tiles):
        if least[tile] >= limit:
            continue
        tile_used[used] = tile
        used += 1
        at = tile * TILE
        for p in range(at, at + TILE):
            above = reduced[p] - best
            z = above * slope
            z = z if z > LOWEST else LOWEST
            value = _exp2(z) - FLOOR
            share[p] = value
            total += value
            square += value * value
            regret += value * above
    above, out = unplaced - best, float32(0)
    if above < CERTAIN * wide:
        out = _exp2(above * slope)
    return best, total + out, out, square + out * out, regret + out * above, used


@_fast
def _respond(r, menus, on, d, desk, temperature, begin, stop, sums, load, doubt):
    # fields in names of their own: reading one in a loop counts a reference, an atomic operation
    weight, use, unplaced, scale = r.weight, r.use, r.unplaced, r.scale
    energy, egress, state, leave, home = r.energy, r.egress, r.state, r.leave, r.home
    home_zone, place, budget, residency, fits = r.home_zone, r.place, r.budget, r.residency, r.fit
    of, start, size, region, rank = menus.of, menus.start, menus.size, menus.region, menus.rank
    m_energy, m_carbon, m_egress = menus.energy, menus.carbon, menus.egress
    factor, fit, least_fit = menus.factor, menus.fit, menus.least_fit
    capacity, transfer = d.capacity, d.transfer
    paid, price, carried, reduced = desk.paid, desk.energy, desk.state, desk.reduced
    share, sums_of, least, tiles = desk.share, desk.load, desk.least, desk.tile
    temperature = float32(temperature)
    resources = load.shape[1]
    menu, held, last = 0, 0, -1
    value, exact, regrets, moves, kilograms = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(begin, stop):
        w = weight[i]
        if w == 0:
            doubt[i] = 0
            continue
        before = menu
        menu = _enter(place, residency, home_zone, of, start, size, factor, region, m_energy,
                      m_carbon, capacity, d.carbon, transfer, paid, price, carried, i, last,
                      on.residency, on.state)  # fmt: skip
        if last >= 0 and (menu != before or held >= FLUSH):
            _flush(uint64(start[before]), uint64(size[before]), region, factor, sums_of, load)
            held = 0
        last, held = i, held + 1
        first = uint64(start[menu])
        at_home = home[i * on.moves] if on.moves else int32(-1)
        away = leave[i * on.moves] + (d.moves if at_home >= 0 else float32(0))
        reach, stays = _reduce(
            first, uint64(size[menu]), budget[i], energy[i], egress[i * on.egress],
            state[i * on.state], away, at_home, fits, use, rank, region, m_egress, fit, least_fit,
            paid, price, carried, reduced, least, i, menu, on.fit)  # fmt: skip
        wide = temperature * scale[i]
        best, total, out, square, regret, used = _soften(
            unplaced[i], wide, _tiles(reach), reduced, least, share, tiles)  # fmt: skip
        doubt[i] = ONE - square / (total * total)
        value += np.float64(w) * (best - (wide * np.log(total) if total > ONE else float32(0)))
        exact += np.float64(w) * best
        each = w / total
        regrets += np.float64(each) * regret
        for k in range(resources):
            taken = each * use[i, k]
            for n in range(used):
                at = uint64(tiles[n]) * TILE
                for p in range(at, at + TILE):
                    sums_of[k, p] += taken * share[p]
        if on.toll and at_home >= 0:
            kept = out
            if stays >= 0 and least[uint64(stays) // TILE] < best + CERTAIN * wide:
                kept += share[stays]
            moves += np.float64(w) - np.float64(each) * kept
        if on.carbon:
            kg = float32(0)
            for n in range(used):
                at = uint64(tiles[n]) * TILE
                for p in range(at, at + TILE):
                    kg += share[p] * m_carbon[first + p]
            kilograms += np.float64(each) * energy[i] * kg
    if last >= 0:
        _flush(uint64(start[menu]), uint64(size[menu]), region, factor, sums_of, load)
    sums[0], sums[1], sums[2], sums[3], sums[4] = value, exact, regrets, moves, kilograms


@_inner
def _flush(first, entries, region, factor, sums_of, load):
    for k in range(load.shape[1]):
        for p in range(entries):
            load[region[first + p], k] += sums_of[k, p] * factor[first + p]
            sums_of[k, p] = 0


@_fast
def _curvature(r, menus, on, d, desk, temperature, begin, stop, slots, matrix):
    weight, use, unplaced, scale = r.weight, r.use, r.unplaced, r.scale
    energy, egress, state, leave, home = r.energy, r.egress, r.state, r.leave, r.home
    home_zone, place, budget, residency, fits = r.home_zone, r.place, r.budget, r.residency, r.fit
    of, start, size, region, rank = menus.of, menus.start, menus.size, menus.region, menus.rank
    m_energy, m_carbon, m_egress = menus.energy, menus.carbon, menus.egress
    factor, fit, least_fit = menus.factor, menus.fit, menus.least_fit
    capacity, transfer = d.capacity, d.transfer
    paid, price, carried, reduced = desk.paid, desk.energy, desk.state, desk.reduced
    share, least, tiles = desk.share, desk.least, desk.tile
    temperature = float32(temperature)
    m, resources = capacity.shape
    last = -1
    entry, where, part, mass = (
        np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m), np.empty(m))  # fmt: skip
    mean, toll = np.zeros(2), np.zeros((2, m))
    for i in range(begin, stop):
        if weight[i] == 0:
            continue
        menu = _enter(place, residency, home_zone, of, start, size, factor, region, m_energy,
                      m_carbon, capacity, d.carbon, transfer, paid, price, carried, i, last,
                      on.residency, on.state)  # fmt: skip
        last, first = i, uint64(start[menu])
        at_home = home[i * on.moves] if on.moves else int32(-1)
        away = leave[i * on.moves] + (d.moves if at_home >= 0 else float32(0))
        reach, _ = _reduce(
            first, uint64(size[menu]), budget[i], energy[i], egress[i * on.egress],
            state[i * on.state], away, at_home, fits, use, rank, region, m_egress, fit, least_fit,
            paid, price, carried, reduced, least, i, menu, on.fit)  # fmt: skip
        wide = temperature * scale[i]
        _, total, _, _, _, tiles_used = _soften(
            unplaced[i], wide, _tiles(reach), reduced, least, share, tiles)  # fmt: skip
        used = 0
        for n in range(tiles_used):
            at = uint64(tiles[n]) * TILE
            for p in range(at, at + TILE):
                if share[p] > CUT * total:
                    entry[used] = first + p
                    where[used] = region[first + p] * resources
                    part[used] = share[p] / total
                    mass[used] = part[used] * factor[first + p]
                    used += 1
        w = np.float64(weight[i]) / wide
        for a in range(used):
            for k in range(resources):
                left = w * use[i, k] * mass[a]
                for l in range(resources):
                    both = left * use[i, l]
                    matrix[where[a] + k, where[a] + l] += both * factor[entry[a]]
                    for b in range(used):
                        matrix[where[a] + k, where[b] + l] -= both * mass[b]
        if slots[0] < 0 and slots[1] < 0:
            continue
        for b in range(2):
            mean[b] = 0.0
            for a in range(used):
                if b == 0:
                    toll[b, a] = at_home >= 0 and region[entry[a]] != at_home
                else:
                    toll[b, a] = energy[i] * m_carbon[entry[a]]
                mean[b] += part[a] * toll[b, a]
        for b in range(2):
            q = slots[b]
            if q < 0:
                continue
            for a in range(used):
                above = w * part[a] * (toll[b, a] - mean[b])
                for k in range(resources):
                    both = above * factor[entry[a]] * use[i, k]
                    matrix[where[a] + k, q] += both
                    matrix[q, where[a] + k] += both
                for c in range(2):
                    if slots[c] >= 0:
                        matrix[q, slots[c]] += above * toll[c, a]


@_fast
def _best(r, menus, on, d, desk, begin, stop, found_region, found):
    use, energy, egress, state = r.use, r.energy, r.egress, r.state
    leave, home, home_zone, place = r.leave, r.home, r.home_zone, r.place
    budget, residency, fits = r.budget, r.residency, r.fit
    of, start, size, region, rank = menus.of, menus.start, menus.size, menus.region, menus.rank
    m_energy, m_carbon, m_egress = menus.energy, menus.carbon, menus.egress
    factor, fit, least_fit = menus.factor, menus.fit, menus.least_fit
    capacity, transfer = d.capacity, d.transfer
    paid, price, carried, reduced = desk.paid, desk.energy, desk.state, desk.reduced
    least = desk.least
    k, last = found.shape[1], -1
    for i in range(begin, stop):
        menu = _enter(place, residency, home_zone, of, start, size, factor, region, m_energy,
                      m_carbon, capacity, d.carbon, transfer, paid, price, carried, i, last,
                      on.residency, on.state)  # fmt: skip
        last, first = i, uint64(start[menu])
        at_home = home[i * on.moves] if on.moves else int32(-1)
        away = leave[i * on.moves] + (d.moves if at_home >= 0 else float32(0))
        reach, _ = _reduce(
            first, uint64(size[menu]), budget[i], energy[i], egress[i * on.egress],
            state[i * on.state], away, at_home, fits, use, rank, region, m_egress, fit, least_fit,
            paid, price, carried, reduced, least, i, menu, on.fit)  # fmt: skip
        count = 0
        for tile in range(_tiles(reach)):
            if count == k and least[tile] > found[i, k - 1]:
                continue
            for p in range(tile * TILE, tile * TILE + TILE):
                value = reduced[p]
                if value >= FAR or (count == k and value > found[i, k - 1]):
                    continue
                j = region[first + p]
                if count == k and value == found[i, k - 1] and j > found_region[i, k - 1]:
                    continue
                q = count if count < k else k - 1
                while q > 0 and (
                    found[i, q - 1] > value
                    or (found[i, q - 1] == value and found_region[i, q - 1] > j)
                ):
                    found[i, q], found_region[i, q] = found[i, q - 1], found_region[i, q - 1]
                    q -= 1
                found[i, q], found_region[i, q] = value, j
                count = min(count + 1, k)
