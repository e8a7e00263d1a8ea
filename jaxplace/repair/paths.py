"""What is still too much somewhere, carried off along the cheapest paths between regions.

An auction moves much at once, but where a group of regions is full it raises their prices round
and round until some unit would sooner be left out.  Successive shortest paths (Ahuja, Magnanti &
Orlin 1993, ch. 9) find the way out: from an overloaded region over units that change from one
full region to the next to one with room, at the least reduced cost.
"""

import numpy as np

from jaxplace.native import compiled
from jaxplace.repair.core import Core, entries_of, line_of, move


VISITS = 30  # of a region, after which what is too much is left for others to drop


def carry_off(core: Core, prices: np.ndarray) -> None:
    """Move what overloads regions to where there is room, or leave it out where that is cheaper.

    Args:
        core: changed in place.
        prices: [m + 1, R] duals [USD per use], 0 at m: what a unit pays for the place it takes.
    """
    tolerance, free = core.hair(), core.free()
    short = (free < -tolerance).any(1)
    if short.any():
        _carry(core.region, core.guide, core.use, core.units, free, prices, tolerance, short)


@compiled
def _carry(region, guide, use, units, free, prices, tolerance, waiting):  # type: ignore[no-untyped-def]
    """Visit overloaded regions, those that wait longest first."""
    m, resources = free.shape
    lists = entries_of(region, units, m)
    queue, length = line_of(waiting)
    first = 0
    visits, source = np.zeros(m, np.int64), np.empty(m, np.int64)
    cost, load, known = np.empty(m), np.empty((m, resources)), np.empty(m, np.bool_)
    path = np.empty(m, np.int64)
    while length:
        j = queue[first]
        first, length = (first + 1) % m, length - 1
        waiting[j] = False
        visits[j] += 1
        if visits[j] > VISITS or not _over(free[j], tolerance[j]):
            continue
        end = _search(
            j, region, guide, use, units, free, prices, tolerance, lists, cost, load, known, source
        )
        hops = 0
        while end >= 0 and end != j:
            path[hops] = end
            hops, end = hops + 1, source[end]
        at = j
        for hop in range(hops - 1, -1, -1):
            to = path[hop]
            _push(at, to, region, guide, use, units, free, prices, tolerance, lists)
            if _over(free[at], tolerance[at]) and not waiting[at]:
                queue[(first + length) % m], waiting[at] = at, True
                length += 1
            at = to
        if _over(free[at], tolerance[at]) and not waiting[at]:
            queue[(first + length) % m], waiting[at] = at, True
            length += 1


@compiled
def _over(free, tolerance):  # type: ignore[no-untyped-def]
    """Whether a region is overloaded."""
    over = False
    for r in range(len(free)):
        over = over or free[r] < -tolerance[r]
    return over


@compiled
def _times(use, load):  # type: ignore[no-untyped-def]
    """How many units of that use take a load away; inf if they cannot."""
    times = 0.0
    for r in range(len(load)):
        if load[r] > 0:
            times = max(times, load[r] / use[r] if use[r] > 0 else np.inf)
    return times


@compiled
def _search(  # type: ignore[no-untyped-def]
    start, region, guide, use, units, free, prices, tolerance, lists, cost, load, known, source
):
    """Dijkstra from an overloaded region to the nearest with room; that region, or -1.

    `load` is what would be too much at a region if the path led there.
    """
    head, after, _ = lists
    m, resources = free.shape
    options = units.shape[1]
    cost[:], known[:] = np.inf, False
    cost[start] = 0.0
    for r in range(resources):
        load[start, r] = -free[start, r] if free[start, r] < -tolerance[start, r] else 0.0
    while True:
        a, least = -1, np.inf
        for j in range(m):
            if not known[j] and cost[j] < least:
                a, least = j, cost[j]
        if a < 0:
            return -1
        known[a] = True
        if a != start and load[a].max() <= 0:
            return a
        e = head[a]
        while e >= 0:
            i, k = e // options, e % options
            e = after[e]
            times = max(_times(use[i, k], load[a]), 1.0)
            if times == np.inf:
                continue
            here = guide[i, k]
            for r in range(resources):
                here += use[i, k, r] * prices[a, r]
            for o in range(options):
                b = region[i, o]
                if o == k or known[b] or guide[i, o] == np.inf:
                    continue
                there = guide[i, o]
                for r in range(resources):
                    there += use[i, o, r] * prices[b, r]
                far = least + max(there - here, 0.0) * times
                if far < cost[b]:
                    cost[b], source[b] = far, a
                    for r in range(resources):
                        more = np.ceil(times - 1e-9) * use[i, o, r] - max(free[b, r], 0.0)
                        load[b, r] = more if more > tolerance[b, r] else 0.0


@compiled
def _push(a, b, region, guide, use, units, free, prices, tolerance, lists):  # type: ignore[no-untyped-def]
    """Units that mind least from region a to b, until a is not overloaded."""
    head, after, _ = lists
    resources, options = free.shape[1], units.shape[1]
    size, e = 0, head[a]
    while e >= 0:
        size, e = size + 1, after[e]
    entry, choice, key = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    load = np.empty(resources)
    for r in range(resources):
        load[r] = -free[a, r] if free[a, r] < -tolerance[a, r] else 0.0
    size, e = 0, head[a]
    while e >= 0:
        i, k = e // options, e % options
        for o in range(options):
            if region[i, o] == b and guide[i, o] < np.inf:
                entry[size], choice[size], key[size] = e, o, guide[i, o] - guide[i, k]
                for r in range(resources):
                    key[size] += use[i, o, r] * prices[b, r] - use[i, k, r] * prices[a, r]
                key[size] *= max(_times(use[i, k], load), 1.0)
                size += 1
                break
        e = after[e]
    order = np.argsort(key[:size], kind="mergesort")
    for n in order:
        i, k, o = entry[n] // options, entry[n] % options, choice[n]
        for r in range(resources):
            load[r] = -free[a, r] if free[a, r] < -tolerance[a, r] else 0.0
        needed = np.ceil(_times(use[i, k], load) - 1e-9)
        if needed <= 0:
            break
        if not key[n] < np.inf:
            continue
        t = np.int64(min(np.float64(units[i, k]), needed))
        move(i, k, o, t, a, b, units, lists)
        for r in range(resources):
            free[a, r] += t * use[i, k, r]
            free[b, r] -= t * use[i, o, r]
