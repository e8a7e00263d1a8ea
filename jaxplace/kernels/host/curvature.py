"""What rows in doubt are split between: the smoothed value's curvature, and draws from the plan."""

from collections.abc import Callable

import numpy as np
from numba import float32, int32, uint64

from jaxplace.kernels.host.covariance import Covariance
from jaxplace.kernels.host.loops import CUT, TILE, enter, fast, reduce, soften, tiles_of
from jaxplace.kernels.host.rows import arrays, new_desk
from jaxplace.native import lent, longer, spread
from jaxplace.problem.menus import Menus
from jaxplace.problem.problem import Duals, Rows, Tables


DRAWN = 4096  # rows at a time, so that their options take little memory


def curvature(
    rows: Rows, tables: Tables, menus: Menus, duals: Duals, temperature: float
) -> Covariance:
    """See `xla.curvature`; shares below CUT are left out."""
    regions, resources = duals.capacity.shape
    part = _parts(rows, tables, menus, duals, temperature)
    return Covariance.of(regions, resources, spread(part, len(rows.weight), chunks=2))


def draw(
    rows: Rows,
    tables: Tables,
    menus: Menus,
    duals: Duals,
    temperature: float,
    chance: np.ndarray,
) -> np.ndarray:
    """See `xla.draw`; shares below CUT are never drawn, and rows of weight 0 are unplaced."""
    n, options = len(rows.weight), _parts(rows, tables, menus, duals, temperature)
    region = np.empty(n, np.int32)

    def part(start: int, stop: int) -> None:
        used, _, where, share, _ = options(start, stop)
        _pick(used, where, share, chance[start:stop], region[start:stop])

    spread(part, n, chunks=-(-n // DRAWN))
    return region


def _parts(
    rows: Rows, tables: Tables, menus: Menus, duals: Duals, temperature: float
) -> Callable[[int, int], tuple[np.ndarray, ...]]:
    """What gives some rows' numbers of options and weights, and the options in use."""
    r, on, d = arrays(rows, tables, duals)
    m, resources = d.capacity.shape
    asked = np.array([duals.moves is not None, duals.carbon is not None])

    def part(start: int, stop: int) -> tuple[np.ndarray, ...]:
        desk = new_desk(m, resources)
        found: tuple[np.ndarray, ...] = _options(
            r, menus, on, d, desk, temperature, start, stop, asked
        )
        return found

    return part


@fast
def _pick(used, where, share, chance, found):
    a = 0
    for i in range(len(used)):
        left, stop, found[i] = chance[i], a + used[i], -1
        while a < stop and left >= share[a]:
            left -= share[a]
            a += 1
        if a < stop:
            found[i] = where[a]
        a = stop


@fast
def _options(r, menus, on, d, desk, temperature, begin, stop, asked):
    r, menus, d, desk = lent((r, menus, d, desk))
    weight, use, unplaced, scale = r.weight, r.use, r.unplaced, r.scale
    energy, egress, state, leave, home = r.energy, r.egress, r.state, r.leave, r.home
    home_zone, place, budget, residency, fits = r.home_zone, r.place, r.budget, r.residency, r.fit
    of, start, size, region, rank = menus.of, menus.start, menus.size, menus.region, menus.rank
    m_energy, m_carbon, m_egress = menus.energy, menus.carbon, menus.egress
    factor, fit, least_fit = menus.factor, menus.fit, menus.least_fit
    capacity, transfer = d.capacity, d.transfer
    paid, price, carried, reduced = desk.paid, desk.energy, desk.state, desk.reduced
    share, least, run = desk.share, desk.least, desk.run
    temperature = float32(temperature)
    resources, last, used = capacity.shape[1], -1, 0
    count, weights = np.zeros(stop - begin, np.int64), np.zeros(stop - begin)
    where, shares = np.empty(0, np.int32), np.empty(0, np.float32)
    each, takes = resources + asked[0] + asked[1], np.empty(0, np.float32)
    for i in range(begin, stop):
        if weight[i] == 0:
            continue
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
        wide = temperature * scale[i]
        _, total, _, _, _, runs = soften(
            unplaced[i], wide, tiles_of(reach), reduced, least, share, run)  # fmt: skip
        before, needed = used, used + tiles_of(reach) * TILE
        where, shares = longer(where, needed), longer(shares, needed)
        takes = longer(takes, needed * each)
        for n in range(runs):
            for p in range(uint64(run[n, 0]), uint64(run[n, 1])):
                if share[p] > CUT * total:
                    entry = first + p
                    where[used], shares[used] = region[entry], share[p] / total
                    at = used * each
                    for k in range(resources):
                        takes[at + k] = use[i, k] * factor[entry]
                    if asked[0]:
                        takes[at + resources] = at_home >= 0 and region[entry] != at_home
                    if asked[1]:
                        takes[at + each - 1] = energy[i] * m_carbon[entry]
                    used += 1
        count[i - begin], weights[i - begin] = used - before, np.float64(weight[i]) / wide
    return count, weights, where[:used], shares[:used], takes[: used * each].reshape(used, each)
