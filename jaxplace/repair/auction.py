"""Overloads cleared by an auction: full regions raise their price until the least attached leave.

Bertsekas' auction for transportation problems (Bertsekas and Castanon 1989), one region at a
time.  A unit's attachment is what its second choice would cost it more, per use of what the
region is short of.  An overloaded region lets its least attached units go, to their second choice
at current prices, full or not, and asks from then on what the last of them was not ready to pay.
Chains of moves through full regions come about by themselves; the unplaced option, never full,
ends them.
"""

import numpy as np

from jaxplace.native import compiled, lent, longer
from jaxplace.repair.core import (
    Core,
    any_left,
    heap_of,
    line_of,
    overload,
    pop,
    wait,
)


VISITS = 400  # of a region
SPARE = 16  # entries that a region's block has room for, beside twice those it begins with
PATIENCE = 5  # visits after which price rises grow, so that ties cannot go on for ever


def clear_overloads(core: Core, prices: np.ndarray, *, rise: float) -> None:
    """Make every capacity hold.

    Args:
        core: changed in place.
        prices: [m + 1, R] USD per use to start from, the relaxation's duals; 0 at m.
        rise: least rise of a price at a visit, USD per mean use of a unit.
    """
    if not len(core.row):
        return
    tolerance = core.hair()
    least = rise / np.maximum(core.use.mean((0, 1)), 1e-300)
    free = core.free()
    short = (free < -tolerance).any(1)
    if not short.any():
        return
    _auction(
        core.region, core.guide, core.use, core.units, free, prices.copy(), least, tolerance,
        short)  # fmt: skip
    free = core.free()
    if (free < -tolerance).any():
        _drop(core, free, tolerance)


@compiled
def _auction(region, guide, use, units, free, prices, least, tolerance, waiting):  # type: ignore[no-untyped-def]
    """Visit overloaded regions, those that wait longest first."""
    region, guide, use, units, free, prices = lent((region, guide, use, units, free, prices))
    options = units.shape[1]
    pool, begin, count, room, listed = _blocks(region, units, len(free))
    end = len(pool) // 2
    m, resources = free.shape
    queue, length = line_of(waiting)
    first = 0
    visits = np.zeros(m, np.int64)
    missing, todo = np.empty(resources), np.empty(resources)
    while length:
        j = queue[first]
        first, length = (first + 1) % m, length - 1
        waiting[j] = False
        visits[j] += 1
        if visits[j] > VISITS:
            continue
        size = count[j]
        entry, choice = np.empty(size, np.int64), np.empty(size, np.int64)
        minds, share, key = np.empty(size), np.empty(size), np.empty(size)
        overload(free[j], tolerance[j], todo)
        for r in range(resources):
            missing[r] = todo[r] if todo[r] > 0 else np.inf
        size, kept = 0, begin[j]
        for at in range(begin[j], begin[j] + count[j]):
            e = pool[at]
            i, k = e // options, e % options
            if not units[i, k]:  # they went since the last visit
                listed[e] = False
                continue
            pool[kept], kept = e, kept + 1
            own, best, best_o = _asked(i, k, region, guide, use, prices), np.inf, -1
            weight, part, spared = 0.0, 0.0, 0.0
            for r in range(resources):
                # nobody else would pay for what it leaves idle
                spared += use[i, k, r] * prices[j, r] if todo[r] <= 0 else 0.0
                # a unit that is larger than what is missing is worth no more than that
                weight += min(use[i, k, r] / missing[r], 1.0)
                part += use[i, k, r] / missing[r]
            if weight > 0:
                for o in range(options):
                    if o != k and guide[i, o] < np.inf:
                        asks = _asked(i, o, region, guide, use, prices)
                        if asks < best:
                            best, best_o = asks, o
            if best_o >= 0:
                entry[size], choice[size] = e, best_o
                minds[size], share[size] = best - own, part
                key[size] = (best - own + spared) / weight
                size += 1
        count[j] = kept - begin[j]
        level = 0.0
        heap = np.arange(size)
        heap_of(key, heap)
        for turn in range(size):
            n = pop(key, heap, size - turn)
            e = entry[n]
            i, k, o = e // options, e % options, choice[n]
            needed = 0.0
            for r in range(resources):
                if todo[r] > 0 and use[i, k, r] > 0:
                    needed = max(needed, np.ceil(todo[r] / use[i, k, r] - 1e-9))
            if needed <= 0:
                if not any_left(todo):
                    break
                continue
            t = np.int64(min(np.float64(units[i, k]), needed))
            level = max(level, minds[n] / share[n])
            target = region[i, o]
            units[i, k] -= t
            units[i, o] += t
            if not listed[i * options + o]:
                if count[target] == room[target]:
                    pool, end = _moved(target, pool, begin, count, room, end)
                pool[begin[target] + count[target]] = i * options + o
                count[target] += 1
                listed[i * options + o] = True
            for r in range(resources):
                todo[r] -= t * use[i, k, r]
                free[j, r] += t * use[i, k, r]
                free[target, r] -= t * use[i, o, r]
                if free[target, r] < -tolerance[target, r]:
                    length = wait(target, queue, waiting, first, length)
        growth = 1.25 ** max(visits[j] - PATIENCE, 0)
        for r in range(resources):
            # from now on the region asks what would have made the last of them go
            if missing[r] < np.inf:
                prices[j, r] += level / missing[r] + least[r] * growth
            if free[j, r] < -tolerance[j, r]:
                length = wait(j, queue, waiting, first, length)


@compiled
def _asked(i, o, region, guide, use, prices):  # type: ignore[no-untyped-def]
    """What a unit of row i pays at option o, the place it takes included."""
    asks = guide[i, o]
    for r in range(use.shape[2]):
        asks += use[i, o, r] * prices[region[i, o], r]
    return asks


@compiled
def _blocks(region, units, m):  # type: ignore[no-untyped-def]
    """The entries (row, option) with units, a block for each region, and room for as many more.

    In a row, not linked: reading one does not wait for the one before.
    """
    rows, options = units.shape
    count, listed = np.zeros(m, np.int64), np.zeros(rows * options, np.bool_)
    for i in range(rows):
        for k in range(options):
            count[region[i, k]] += units[i, k] > 0
    room, begin, end = 2 * count + SPARE, np.empty(m, np.int64), 0
    for j in range(m):
        begin[j], end, count[j] = end, end + room[j], 0
    pool = np.empty(2 * end, np.int64)
    for i in range(rows):
        for k in range(options):
            if units[i, k]:
                j, e = region[i, k], i * options + k
                pool[begin[j] + count[j]] = e
                count[j] += 1
                listed[e] = True
    return pool, begin, count, room, listed


@compiled
def _moved(j, pool, begin, count, room, end):  # type: ignore[no-untyped-def]
    """A full block moves to the end of the pool, with twice the room; the pool and its new end."""
    size = 2 * room[j]
    pool = longer(pool, end + size)
    for p in range(count[j]):
        pool[end + p] = pool[begin[j] + p]
    begin[j], room[j] = end, size
    return pool, end + size


def _drop(core: Core, free: np.ndarray, tolerance: np.ndarray) -> None:
    """Leave units unplaced where the auction did not do: always possible."""
    last = core.region.shape[1] - 1
    for j in np.nonzero((free < -tolerance).any(1))[0]:
        row, option = np.nonzero((core.units > 0) & (core.region == j))
        dear = (core.cost[row, last] - core.cost[row, option]).argsort(kind="stable")
        for i, k in zip(row[dear], option[dear], strict=True):
            while core.units[i, k] > 0 and (free[j] < -tolerance[j]).any():
                use = core.use[i, k]
                with np.errstate(divide="ignore", invalid="ignore"):
                    needed = np.where((free[j] < 0) & (use > 0), np.ceil(-free[j] / use), 0).max()
                t = int(min(core.units[i, k], max(needed, 1)))
                core.units[i, k] -= t
                core.units[i, last] += t
                free[j] += t * use
