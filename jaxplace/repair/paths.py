"""What is still too much somewhere, carried off along the cheapest paths between regions.

An auction moves much at once, but where a group of regions is full it raises their prices round
and round until some unit would sooner be left out.  Successive shortest paths (Ahuja, Magnanti &
Orlin 1993, ch. 9) find the way out: from an overloaded region over units that change from one
full region to the next to one with room, at the least reduced cost.
"""

import time

import numpy as np

from jaxplace.native import compiled, lent
from jaxplace.repair.core import (
    Core,
    any_left,
    entries_of,
    heap_of,
    line_of,
    move,
    overload,
    pop,
    wait,
)


VISITS = 30  # of a region, after which what is too much is left for others to drop
PATHS = 64  # between two looks at the clock


def carry_off(core: Core, prices: np.ndarray, *, deadline: float = np.inf) -> None:
    """Move what overloads regions to where there is room, or leave it out where that is cheaper.

    Args:
        core: changed in place.
        prices: [m + 1, R] duals [USD per use], 0 at m: what a unit pays for the place it takes.
        deadline: `time.perf_counter` after which the rest is left for others to drop.
    """
    tolerance, free = core.hair(), core.free()
    short = (free < -tolerance).any(1)
    if not short.any():
        return
    asks, lists = core.asks(prices), entries_of(core.region, core.units, len(free))
    queue, length = line_of(short)
    visits, line, paths = np.zeros(len(free), np.int64), np.array([0, length]), PATHS
    while paths == PATHS and time.perf_counter() < deadline:
        paths = _carry(
            core.region, asks, core.use, core.units, free, tolerance, lists, visits, short, queue,
            line, PATHS)  # fmt: skip


@compiled
def _carry(  # type: ignore[no-untyped-def]
    region, asks, use, units, free, tolerance, lists, visits, waiting, queue, line, most
):
    """Visit overloaded regions, those that wait longest first; the paths searched, up to `most`.

    `line` [2] is where the queue begins and how long it is, for the next call.
    """
    region, asks, use, units, free, tolerance = lent((region, asks, use, units, free, tolerance))
    m, resources = free.shape
    first, length = line
    source, paths = np.empty(m, np.int64), 0
    cost, load, known = np.empty(m), np.empty((m, resources)), np.empty(m, np.bool_)
    path = np.empty(m, np.int64)
    while length and paths < most:
        j = queue[first]
        first, length = (first + 1) % m, length - 1
        waiting[j] = False
        visits[j] += 1
        if visits[j] > VISITS or not overload(free[j], tolerance[j], load[j]):
            continue
        paths += 1
        end = _search(
            j, region, asks, use, units, free, tolerance, lists, cost, load, known, source
        )
        if end < 0:
            continue
        path[0], hops = end, 0
        while path[hops] != j:
            hops += 1
            path[hops] = source[path[hops - 1]]
        for hop in range(hops, 0, -1):
            a, b = path[hop], path[hop - 1]
            _push(a, b, region, asks, use, units, free, tolerance, lists, load[a])
        for hop in range(hops, -1, -1):
            if overload(free[path[hop]], tolerance[path[hop]], load[path[hop]]):
                length = wait(path[hop], queue, waiting, first, length)
    line[0], line[1] = first, length
    return paths


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
    start, region, asks, use, units, free, tolerance, lists, cost, load, known, source
):
    """Dijkstra from an overloaded region to the nearest with room; that region, or -1.

    `load` is what would be too much at a region if the path led there.
    """
    head, after, _ = lists
    m, resources = free.shape
    options = units.shape[1]
    cost[:], known[:] = np.inf, False
    cost[start] = 0.0
    overload(free[start], tolerance[start], load[start])
    while True:
        a, least = -1, np.inf
        for j in range(m):
            if not known[j] and cost[j] < least:
                a, least = j, cost[j]
        if a < 0:
            return -1
        known[a] = True
        if a != start and not any_left(load[a]):
            return a
        e = head[a]
        while e >= 0:
            i, k = e // options, e % options
            e = after[e]
            times = max(_times(use[i, k], load[a]), 1.0)
            if times == np.inf:
                continue
            for o in range(options):
                b = region[i, o]
                far = least + max(asks[i, o] - asks[i, k], 0.0) * times
                if far < cost[b] and not known[b] and o != k:
                    cost[b], source[b] = far, a
                    for r in range(resources):
                        more = np.ceil(times - 1e-9) * use[i, o, r] - max(free[b, r], 0.0)
                        load[b, r] = more if more > tolerance[b, r] else 0.0


@compiled
def _push(a, b, region, asks, use, units, free, tolerance, lists, load):  # type: ignore[no-untyped-def]
    """Units that mind least from region a to b, until a is not overloaded; `load` is scratch."""
    head, after, _ = lists
    resources, options = free.shape[1], units.shape[1]
    size, e = 0, head[a]
    while e >= 0:
        size, e = size + 1, after[e]
    entry, choice, key = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    overload(free[a], tolerance[a], load)
    size, e = 0, head[a]
    while e >= 0:
        i, k = e // options, e % options
        times = max(_times(use[i, k], load), 1.0)
        for o in range(options):
            if region[i, o] == b and asks[i, o] < np.inf and times < np.inf:
                entry[size], choice[size] = e, o
                key[size] = (asks[i, o] - asks[i, k]) * times
                size += 1
        e = after[e]
    heap = np.arange(size)
    heap_of(key, heap)
    while size and overload(free[a], tolerance[a], load):
        n = pop(key, heap, size)
        size -= 1
        i, k, o = entry[n] // options, entry[n] % options, choice[n]
        needed = np.ceil(_times(use[i, k], load) - 1e-9)
        t = np.int64(min(np.float64(units[i, k]), needed))
        move(i, k, o, t, a, b, units, lists)
        for r in range(resources):
            free[a, r] += t * use[i, k, r]
            free[b, r] -= t * use[i, o, r]
