"""The regions of least reduced cost."""

import numpy as np
from numba import float32, int32, uint64

from jaxplace.kernels.host.loops import ONE, TILE, enter, fast, inner, reduce, tiles_of
from jaxplace.kernels.host.rows import CHUNKS, FAR, arrays, new_desk
from jaxplace.native import spread
from jaxplace.problem.menus import Menus
from jaxplace.problem.problem import Duals, Lists, Rows, Tables


HALVINGS = 12  # of the threshold between the least and the largest cost
SHRINK = np.float32(0.25)  # the cheapest few lie near the least


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

    spread(part, n, chunks=CHUNKS)
    return region, reduced


def shortlist(rows: Rows, tables: Tables, menus: Menus, duals: Duals, *, k: int) -> Lists:
    """About the k regions of least reduced cost of each row, k at most, in no order."""
    r, on, d = arrays(rows, tables, duals)
    n, (m, resources) = len(r.weight), d.capacity.shape
    lists = Lists(
        region=np.full((n, k + 1), m, np.int32),
        cost=np.full((n, k + 1), FAR, np.float32),
        use=np.zeros((n, resources, k + 1), np.float32),
        toll=np.zeros((n, on.toll + on.carbon, k + 1), np.float32),
    )
    lists.cost[:, k] = r.unplaced

    def part(start: int, stop: int) -> None:
        desk = new_desk(m, resources)
        _shortlist(r, menus, on, d, desk, start, stop, *lists)

    spread(part, n, chunks=CHUNKS)
    return lists


@fast
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
def _threshold(reduced, tiles, least, k):
    """A reduced cost that about k are not above, and no more unless the least ones tie."""
    low, high = FAR, float32(0)
    for tile in range(tiles):
        low = min(low, least[tile])
    for p in range(tiles * TILE):
        high = max(high, reduced[p] if reduced[p] < FAR else low)
    for _ in range(HALVINGS):
        middle = low + (high - low) * SHRINK
        count = int32(0)
        for p in range(tiles * TILE):
            count += int32(reduced[p] <= middle)
        if count <= k:
            low = middle
        else:
            high = middle
    return low


@fast
def _shortlist(r, menus, on, d, desk, begin, stop, found_region, cost, uses, toll):
    use, energy, egress, state = r.use, r.energy, r.egress, r.state
    leave, home, home_zone, place = r.leave, r.home, r.home_zone, r.place
    budget, residency, fits = r.budget, r.residency, r.fit
    of, start, size, region, rank = menus.of, menus.start, menus.size, menus.region, menus.rank
    m_energy, m_carbon, m_egress = menus.energy, menus.carbon, menus.egress
    factor, fit, least_fit = menus.factor, menus.fit, menus.least_fit
    capacity, transfer = d.capacity, d.transfer
    paid, price, carried, reduced = desk.paid, desk.energy, desk.state, desk.reduced
    least = desk.least
    k, last = found_region.shape[1] - 1, -1
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
        tiles = tiles_of(reach)
        limit = FAR if reach <= k else _threshold(reduced, tiles, least, k)
        count = 0
        for tile in range(tiles):
            if least[tile] > limit:
                continue
            for p in range(tile * TILE, tile * TILE + TILE):
                if reduced[p] > limit or reduced[p] >= FAR or count == k:
                    continue
                left, j = reduced[p], region[first + p]
                for l in range(capacity.shape[1]):
                    uses[i, l, count] = use[i, l] * factor[first + p]
                    left -= use[i, l] * paid[l, p]
                if on.toll and at_home >= 0 and j != at_home:
                    toll[i, 0, count] = ONE
                    left -= d.moves
                if on.carbon:
                    kg = energy[i] * m_carbon[first + p]
                    toll[i, on.toll, count] = kg
                    left -= d.carbon * kg
                found_region[i, count], cost[i, count] = j, left
                count += 1
