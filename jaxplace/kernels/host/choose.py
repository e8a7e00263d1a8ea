"""The regions of least reduced cost."""

import numpy as np
from numba import float32, int32, uint64

from jaxplace.kernels.host.lists import BLOCK, WIDTH, block_of, prices_of
from jaxplace.kernels.host.loops import ONE, TILE, enter, fast, inner, reduce, tiles_of
from jaxplace.kernels.host.rows import FAR, arrays, chunks, new_desk
from jaxplace.native import lent, spread
from jaxplace.problem.menus import Menus
from jaxplace.problem.problem import Duals, Lists, Rows, Tables


TRIES = 16  # of the threshold that about k regions are under
WIDEN, SHRINK = np.float32(4), np.float32(0.5)  # it goes up until it is too far, then between
SPARE = 6  # a list lacks a share of its length, at most, for a search that ends soon
LEAST = np.float32(1e-6)  # of the search: costs are scaled, nearer ones are rounding


def best_regions(
    rows: Rows, tables: Tables, menus: Menus, duals: Duals, *, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """See `xla.best_regions`."""
    r, on, d = arrays(rows, tables, duals)
    n, (m, resources) = len(r.weight), d.capacity.shape
    region, reduced = np.zeros((n, k), np.int32), np.full((n, k), np.inf, np.float32)

    def part(start: int, stop: int) -> None:
        desk = new_desk(m, resources)
        _best(r, menus, on, d, desk, start, stop, region, reduced)

    spread(part, n, chunks=chunks(n))
    return region, reduced


def shortlist(
    rows: Rows, tables: Tables, menus: Menus, duals: Duals, *, k: int, size: int
) -> Lists:
    """About the k regions of least reduced cost of each of the first `size` rows, k at most."""
    r, on, d = arrays(rows, tables, duals)
    m, resources = d.capacity.shape
    budgets, tiles = on.toll + on.carbon, -(-(k + 1) // int(WIDTH))
    prices, asked = prices_of(duals, m)
    options = (tiles, size, int(WIDTH))
    lists = Lists(
        region=np.empty(options, np.int32),
        cost=np.empty(options, np.float32),
        use=np.empty((resources, *options), np.float32),
        toll=np.empty((budgets, *options), np.float32),
        floor=np.empty((tiles, size), np.float32),
        most=np.zeros((resources + budgets, size), np.float32),
        seen=np.zeros((-(-size // BLOCK), m + 1), np.uint8),
        prices=prices,
        asked=asked,
    )

    def part(start: int, stop: int) -> None:
        desk = new_desk(m, resources)
        _shortlist(r, menus, on, d, desk, start, stop, k, lists)

    spread(part, size, chunks=chunks(size))
    return lists


def servable(rows: Rows, tables: Tables, menus: Menus, *, size: int) -> np.ndarray:
    """[N] bool: the rows, of the first `size`, that some region allows."""
    nothing = np.zeros((tables.reach.shape[1], rows.use.shape[1]), np.float32)
    r, on, _ = arrays(rows, tables, Duals(nothing))
    found = np.zeros(len(r.weight), bool)

    def part(start: int, stop: int) -> None:
        _servable(r, menus, on, start, stop, found)

    spread(part, size, chunks=chunks(size))
    return found


@fast
def _servable(r, menus, on, begin, stop, found):
    r, menus = lent((r, menus))
    for i in range(begin, stop):
        menu = menus.of[r.place[i], r.residency[i * on.residency]]
        for p in range(menus.start[menu], menus.start[menu] + menus.size[menu]):
            if menus.rank[p] > r.budget[i]:
                break
            fits = True
            for k in range(on.fit * r.fit.shape[1]):
                fits = fits and menus.fit[k, p] >= r.fit[i, k]
            if fits:
                found[i] = True
                break


@fast
def _best(r, menus, on, d, desk, begin, stop, found_region, found):
    r, menus, d, desk = lent((r, menus, d, desk))
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
        menu = enter(place, residency, home_zone, of, start, size, factor, region, m_energy,
                      m_carbon, capacity, d.carbon, transfer, paid, price, carried, i, last,
                      on.residency, on.state)  # fmt: skip
        last, first = i, uint64(start[menu])
        at_home = home[i * on.moves] if on.moves else int32(-1)
        away = leave[i * on.moves] + (d.moves if at_home >= 0 else float32(0))
        reach, _ = reduce(
            first, uint64(size[menu]), budget[i], energy[i], egress[i * on.egress],
            state[i * on.state], away, at_home, fits, use, rank, region, m_egress, fit, least_fit,
            paid, price, carried, reduced, least, i, menu, on.fit)  # fmt: skip
        count = 0
        for tile in range(tiles_of(reach)):
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


@inner
def _width(reduced, tiles, low, k, guess):
    """How far above `low` about k lie, no more unless they tie; and where to start next time."""
    width, inside, outside = guess, float32(0), FAR
    for _ in range(TRIES):
        limit, count = low + width, int32(0)
        for p in range(tiles * TILE):
            count += int32(reduced[p] <= limit)
        if count > k:
            outside = width
        else:
            inside = width
            if count > k - k // SPARE:
                break
        width = width * WIDEN if outside == FAR else inside + (outside - inside) * SHRINK
    return inside, inside if outside < FAR else guess


@inner
def _order(value, count, spot):
    """The place of each value when they are in rising order, equal ones as they come.

    Each is compared with all: of so few, in vector registers, that is the fastest.
    """
    for q in range(count):
        before = int32(0)
        for o in range(q):
            before += int32(value[o] <= value[q])
        for o in range(q, count):
            before += int32(value[o] < value[q])
        spot[q] = before


@fast
def _shortlist(r, menus, on, d, desk, begin, stop, k, lists):
    r, menus, d, desk, lists = lent((r, menus, d, desk, lists))
    use, energy, egress, state, scale = r.use, r.energy, r.egress, r.state, r.scale
    leave, home, home_zone, place = r.leave, r.home, r.home_zone, r.place
    budget, residency, fits = r.budget, r.residency, r.fit
    of, start, size, region, rank = menus.of, menus.start, menus.size, menus.region, menus.rank
    m_energy, m_carbon, m_egress = menus.energy, menus.carbon, menus.egress
    factor, fit, least_fit = menus.factor, menus.fit, menus.least_fit
    capacity, transfer = d.capacity, d.transfer
    paid, price, carried, reduced = desk.paid, desk.energy, desk.state, desk.reduced
    least, last, guess = desk.least, -1, ONE
    found, cost, uses, toll = lists.region, lists.cost, lists.use, lists.toll
    most, floor, seen, options = lists.most, lists.floor, lists.seen, len(lists.cost) * WIDTH
    slot = np.empty(len(reduced) + 1, np.int32)
    value, spot = np.empty(options, np.float32), np.empty(options, np.int32)
    for i in range(begin, stop):
        menu = enter(place, residency, home_zone, of, start, size, factor, region, m_energy,
                     m_carbon, capacity, d.carbon, transfer, paid, price, carried, i, last,
                     on.residency, on.state)  # fmt: skip
        last, first = i, uint64(start[menu])
        at_home = home[i * on.moves] if on.moves else int32(-1)
        away = leave[i * on.moves] + (d.moves if at_home >= 0 else float32(0))
        reach, _ = reduce(
            first, uint64(size[menu]), budget[i], energy[i], egress[i * on.egress],
            state[i * on.state], away, at_home, fits, use, rank, region, m_egress, fit, least_fit,
            paid, price, carried, reduced, least, i, menu, on.fit)  # fmt: skip
        tiles, low, limit = tiles_of(reach), FAR, FAR
        if reach > k:
            for tile in range(tiles):
                low = min(low, least[tile])
            width, guess = _width(reduced, tiles, low, k, max(guess * scale[i], LEAST))
            limit, guess = low + width, guess / scale[i]
        count = uint64(0)
        for tile in range(tiles):
            if least[tile] > limit or least[tile] >= FAR:
                continue
            for p in range(tile * TILE, tile * TILE + TILE):  # without a branch
                slot[count] = p
                count += uint64(reduced[p] <= limit and reduced[p] < FAR)
        count = min(count, uint64(k))
        for q in range(count):
            value[q] = reduced[uint64(slot[q])]
        value[count] = r.unplaced[i]
        block = block_of(i, seen)
        for q in range(count, options):  # nothing; among it, "unplaced" finds its place below
            tile, at = q // WIDTH, q % WIDTH
            found[tile, i, at], cost[tile, i, at] = len(capacity), FAR
            for l in range(len(uses)):
                uses[l, tile, i, at] = 0
            for b in range(len(toll)):
                toll[b, tile, i, at] = 0
        for tile in range(len(floor)):
            floor[tile, i] = FAR
        _order(value, count + uint64(1), spot)
        for q in range(count + uint64(1)):
            tile, at = uint64(spot[q]) // WIDTH, uint64(spot[q]) % WIDTH
            if at == 0:
                floor[tile, i] = value[q]
            if q == count:
                found[tile, i, at], cost[tile, i, at] = len(capacity), value[q]
                for l in range(len(uses)):
                    uses[l, tile, i, at] = 0
                for b in range(len(toll)):
                    toll[b, tile, i, at] = 0
                continue
            p = uint64(slot[q])
            left, j = reduced[p], region[first + p]
            for l in range(capacity.shape[1]):
                taken = use[i, l] * factor[first + p]
                uses[l, tile, i, at], most[l, i] = taken, max(most[l, i], taken)
                left -= use[i, l] * paid[l, p]
            if on.toll and at_home >= 0 and j != at_home:
                toll[0, tile, i, at] = ONE
                left -= d.moves
            elif on.toll:
                toll[0, tile, i, at] = 0
            if on.carbon:
                kg = energy[i] * m_carbon[first + p]
                toll[on.toll, tile, i, at] = kg
                left -= d.carbon * kg
            for b in range(len(toll)):
                l = capacity.shape[1] + b
                most[l, i] = max(most[l, i], toll[b, tile, i, at])
            found[tile, i, at], cost[tile, i, at], seen[block, j] = j, left, 1
