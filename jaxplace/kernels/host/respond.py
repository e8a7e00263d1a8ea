"""Smoothed values and loads."""

import numpy as np
from numba import float32, int32, uint64

from jaxplace.kernels.host.loops import (
    ONE,
    TILE,
    enter,
    fast,
    horizon,
    inner,
    reduce,
    soften,
    tiles_of,
)
from jaxplace.kernels.host.rows import arrays, chunks, new_desk
from jaxplace.kernels.response import Response
from jaxplace.native import lent, spread
from jaxplace.problem.menus import Menus
from jaxplace.problem.problem import Duals, Rows, Tables


FLUSH = 256  # rows after which float32 loads go to the float64 totals


def respond(rows: Rows, tables: Tables, menus: Menus, duals: Duals, temperature: float) -> Response:
    """See `xla.respond`."""
    r, on, d = arrays(rows, tables, duals)
    n, (m, resources) = len(r.weight), d.capacity.shape
    doubt = np.empty(n, np.float32)

    def part(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        sums, load = np.zeros(5), np.zeros((m, resources))
        _respond(
            r, menus, on, d, new_desk(m, resources), temperature, start, stop, sums, load, doubt
        )
        return sums, load

    parts = spread(part, n, chunks=chunks(n))
    sums, load = (np.sum([p[i] for p in parts], axis=0) for i in (0, 1))
    return Response(sums[0], sums[1], sums[2], load, sums[3:], doubt)


@fast
def _respond(r, menus, on, d, desk, temperature, begin, stop, sums, load, doubt):
    r, menus, d, desk, load, doubt = lent((r, menus, d, desk, load, doubt))
    weight, use, unplaced, scale = r.weight, r.use, r.unplaced, r.scale
    energy, egress, state, leave, home = r.energy, r.egress, r.state, r.leave, r.home
    home_zone, place, budget, residency, fits = r.home_zone, r.place, r.budget, r.residency, r.fit
    of, start, size, region, rank = menus.of, menus.start, menus.size, menus.region, menus.rank
    m_energy, m_carbon, m_egress = menus.energy, menus.carbon, menus.egress
    factor, fit, least_fit = menus.factor, menus.fit, menus.least_fit
    capacity, transfer = d.capacity, d.transfer
    paid, price, carried, reduced = desk.paid, desk.energy, desk.state, desk.reduced
    share, sums_of, least, run = desk.share, desk.load, desk.least, desk.run
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
        menu = enter(place, residency, home_zone, of, start, size, factor, region, m_energy,
                      m_carbon, capacity, d.carbon, transfer, paid, price, carried, i, last,
                      on.residency, on.state)  # fmt: skip
        if last >= 0 and (menu != before or held >= FLUSH):
            _flush(uint64(start[before]), uint64(size[before]), region, factor, sums_of, load)
            held = 0
        last, held = i, held + 1
        first = uint64(start[menu])
        at_home = home[i * on.moves] if on.moves else int32(-1)
        away = leave[i * on.moves] + (d.moves if at_home >= 0 else float32(0))
        reach, stays = reduce(
            first, uint64(size[menu]), budget[i], energy[i], egress[i * on.egress],
            state[i * on.state], away, at_home, fits, use, rank, region, m_egress, fit, least_fit,
            paid, price, carried, reduced, least, i, menu, on.fit)  # fmt: skip
        wide = temperature * scale[i]
        best, total, out, square, regret, runs = soften(
            unplaced[i], wide, tiles_of(reach), reduced, least, share, run)  # fmt: skip
        doubt[i] = ONE - square / (total * total)
        value += np.float64(w) * (best - (wide * np.log(total) if total > ONE else float32(0)))
        exact += np.float64(w) * best
        each = w / total
        regrets += np.float64(each) * regret
        for k in range(resources):
            taken = each * use[i, k]
            for n in range(runs):
                for p in range(uint64(run[n, 0]), uint64(run[n, 1])):
                    sums_of[k, p] += taken * share[p]
        if on.toll and at_home >= 0:
            kept = out
            if stays >= 0 and least[uint64(stays) // TILE] < horizon(best, wide):
                kept += share[stays]
            moves += np.float64(w) - np.float64(each) * kept
        if on.carbon:
            kg = float32(0)
            for n in range(runs):
                for p in range(uint64(run[n, 0]), uint64(run[n, 1])):
                    kg += share[p] * m_carbon[first + p]
            kilograms += np.float64(each) * energy[i] * kg
    if last >= 0:
        _flush(uint64(start[menu]), uint64(size[menu]), region, factor, sums_of, load)
    sums[0], sums[1], sums[2], sums[3], sums[4] = value, exact, regrets, moves, kilograms


@inner
def _flush(first, entries, region, factor, sums_of, load):
    for k in range(load.shape[1]):
        for p in range(entries):
            load[region[first + p], k] += sums_of[k, p] * factor[first + p]
            sums_of[k, p] = 0
