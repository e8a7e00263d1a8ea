"""Minus the Hessian of the smoothed value."""

from functools import reduce as fold
from operator import iadd

import numpy as np
from numba import float32, int32, uint64

from jaxplace.kernels.host.loops import CUT, TILE, enter, fast, reduce, soften, tiles_of
from jaxplace.kernels.host.rows import arrays, new_desk
from jaxplace.native import lent, spread
from jaxplace.problem.menus import Menus
from jaxplace.problem.problem import Duals, Rows, Tables


def curvature(
    rows: Rows, tables: Tables, menus: Menus, duals: Duals, temperature: float
) -> np.ndarray:
    """See `xla.curvature`; shares below CUT are left out."""
    r, on, d = arrays(rows, tables, duals)
    m, resources = d.capacity.shape
    size = m * resources
    slots = np.full(2, -1)
    for b, dual in enumerate((duals.moves, duals.carbon)):
        if dual is not None:
            slots[b], size = size, size + 1

    def part(start: int, stop: int) -> np.ndarray:
        matrix = np.zeros((size, size))
        desk = new_desk(m, resources)
        _curvature(r, menus, on, d, desk, temperature, start, stop, slots, matrix)
        return matrix

    return fold(iadd, spread(part, len(r.weight), chunks=2))


@fast
def _curvature(r, menus, on, d, desk, temperature, begin, stop, slots, matrix):
    r, menus, d, desk = lent((r, menus, d, desk))
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
        _, total, _, _, _, tiles_used = soften(
            unplaced[i], wide, tiles_of(reach), reduced, least, share, tiles)  # fmt: skip
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
