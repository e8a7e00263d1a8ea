"""A row's reduced costs and shares: the loops that every kernel has copied into it."""

from functools import partial

import numpy as np
from llvmlite import ir
from numba import float32, int32, types, uint64
from numba.extending import intrinsic

from jaxplace.kernels.host.rows import FAR
from jaxplace.native import compiled
from jaxplace.problem import menus as book


# positions on menus are unsigned: for signed ones, Numba looks at each whether it counts from the
# end, and vector registers stay empty
TILE = np.uint64(book.TILE)
CUT = np.float32(1e-7)  # shares below it carry no curvature
LOG2E = np.float32(1.4426950408889634)
LOWEST = np.float32(-50.0)  # shares below 2**-50 of the best's are 0; so squares stay normal
FLOOR = np.float32(2.0**-50)
CERTAIN = np.float32(50.0 / 1.4426950408889634)  # the same in temperatures above the best
ULPS = np.float32(2.0**-21)  # a few float32 steps; a small row's temperatures are less than one
# (2^f - 1) / f on (-1, 0] in rising powers; error 1e-8 of 2^f
C0, C1, C2, C3, C4, C5 = (
    np.float32(c)
    for c in (0.693147175, 0.240226098, 0.0554992779, 0.00959716991, 0.00129179035, 0.000114981188)
)
ONE, BIAS, SHIFT = np.float32(1), np.int32(127), np.int32(23)

fast = partial(compiled, fast=True)
inner = partial(compiled, fast=True, inline=True)


@intrinsic
def _as_float(typing, bits):
    """The float32 with these bits."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


@inner
def exp2(z):
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


@inner
def tiles_of(reach):
    """Tiles that hold so many entries."""
    return (reach + TILE - uint64(1)) // TILE


@inner
def enter(place, residency, home_zone, of, start, size, factor, region, energy, carbon, capacity,
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


@inner
def reduce(first, entries, budget, kwh, gb, state_gb, leave, home, fits, use, rank, region, egress,
            fit, least_fit, paid, price, state, reduced, least, i, menu, on_fit):  # fmt: skip
    """Fill `reduced` and `least` for row i; how many regions are in reach, and which is home."""
    reach, high = uint64(0), entries
    while reach < high:
        middle = (reach + high) >> uint64(1)
        if rank[first + middle] <= budget:
            reach = middle + uint64(1)
        else:
            high = middle
    tiles = tiles_of(reach)
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


@inner
def horizon(best, wide):
    """Above the best, and so far that no share is left from there on."""
    return best + max(CERTAIN * wide, ULPS * abs(best))


@inner
def soften(unplaced, wide, tiles, reduced, least, share, run):
    """Fill `share` in the runs of tiles where it is not 0, from `run[., 0]` up to `run[., 1]`.

    Returns the best, the sum of shares, the share left out, the sum of squares, the regret and
    the number of runs.
    """
    best = unplaced
    for tile in range(tiles):
        best = min(best, least[tile])
    slope = -LOG2E / wide
    total, square, regret = float32(0), float32(0), float32(0)
    limit = horizon(best, wide)
    runs, tile = uint64(0), uint64(0)
    while tile < tiles:
        if least[tile] >= limit:
            tile += uint64(1)
            continue
        start = tile * TILE
        while tile < tiles and least[tile] < limit:
            tile += uint64(1)
        stop = tile * TILE
        run[runs, 0], run[runs, 1] = start, stop
        runs += uint64(1)
        for p in range(start, stop):
            above = reduced[p] - best
            z = above * slope
            z = z if z > LOWEST else LOWEST
            value = exp2(z) - FLOOR
            share[p] = value
            total += value
            square += value * value
            regret += value * above
    above, out = unplaced - best, float32(0)
    if above < CERTAIN * wide:
        out = exp2(above * slope)
    return best, total + out, out, square + out * out, regret + out * above, runs
