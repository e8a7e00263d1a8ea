"""Room that is worth something and stands idle, filled by a reverse auction.

An auction in which full regions raise their price leaves idle what nobody comes back to: a large
unit went, and what would fill its place sits elsewhere, where it is full.  Here the idle region
lowers its price until the units that mind least come (Bertsekas, Castanon & Tsaknakis 1993).
They leave room where they were, and that region asks for others in turn; chains of such moves
end where a unit comes from where room is worth nothing.
"""

import numpy as np

from jaxplace.native import compiled, lent
from jaxplace.repair.core import Core, heap_of, line_of, pop, that_fit, wait


VISITS = 8  # of a region
LESS = 0.9  # of what a region asks, after a visit: without, two underbid each other for long


def fill(core: Core, prices: np.ndarray, *, worth: float) -> None:
    """Let units come to idle room; no capacity and no budget is exceeded that was kept.

    Args:
        core: changed in place; its cost may rise by what the chains' last moves did not bring.
        prices: [m + 1, R] USD per use to start from, the relaxation's duals; 0 at m.
        worth: idle room is looked at where it is worth so much [USD].
    """
    free = core.free()
    idle = np.array([_idle(*region) > worth for region in zip(free, prices, strict=True)])
    if idle.any():
        _auction(
            core.region, core.guide, core.use, core.toll, core.units, free, core.spare(), prices,
            worth, idle)  # fmt: skip


@compiled
def _auction(region, guide, use, toll, units, free, spare, prices, worth, waiting):  # type: ignore[no-untyped-def]
    """Visit regions with idle room, those that wait longest first."""
    region, guide, use, toll, units, free, spare, prices = lent(
        (region, guide, use, toll, units, free, spare, prices)
    )
    options = units.shape[1]
    m, resources = free.shape
    start, bids = _by_region(region, m)
    stop = start[1:].copy()
    # what of a bid is looked at is copied in a row at its region's first visit
    asks, values = np.empty(len(bids)), np.empty(len(bids))
    takes = np.empty((len(bids), resources))
    only = np.empty(len(units), np.int64)  # option that has all of a row's units, or -1,
    place, pays, worths = np.zeros(len(units), np.int64), np.empty(len(units)), np.empty(len(units))
    for i in range(len(units)):
        _settled(i, region, guide, use, units, prices, only, place, pays, worths)
    queue, length = line_of(waiting)
    first = 0
    visits = np.zeros(m, np.int64)
    level = np.ones(m)  # what a region asks, as a share of its price
    while length:
        j = queue[first]
        first, length = (first + 1) % m, length - 1
        waiting[j] = False
        visits[j] += 1
        if visits[j] > VISITS:
            continue
        if visits[j] == 1:
            stop[j] = _copied(j, start, bids, guide, use, prices, asks, takes, values)
        size, most = 0, 2 * (stop[j] - start[j])
        entry, source, key = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most)
        for n in range(start[j], stop[j]):
            fits = True
            for r in range(resources):
                fits = fits and takes[n, r] <= free[j, r]
            if not fits or size == most:
                continue
            i = bids[n] // options
            some = only[i]
            if some >= 0:
                own = pays[i] + level[place[i]] * worths[i]
                if place[i] != j and own > asks[n]:  # it comes at this share of the price
                    entry[size], source[size], key[size] = n, some, (asks[n] - own) / values[n]
                    size += 1
                continue
            for k in range(options):
                if region[i, k] == j or not units[i, k] or size == most:
                    continue
                own = guide[i, k] + level[region[i, k]] * _worth(use[i, k], prices[region[i, k]])
                if own > asks[n]:
                    entry[size], source[size], key[size] = n, k, (asks[n] - own) / values[n]
                    size += 1
        heap, lowest = np.arange(size), np.inf
        heap_of(key, heap)
        for turn in range(size):
            n = pop(key, heap, size - turn)
            i, o, k = bids[entry[n]] // options, bids[entry[n]] % options, source[n]
            a, t = region[i, k], that_fit(i, k, o, free[j], spare, use, toll, units)
            if t <= 0:
                continue
            units[i, k] -= np.int64(t)
            units[i, o] += np.int64(t)
            _settled(i, region, guide, use, units, prices, only, place, pays, worths)
            for r in range(resources):
                free[j, r] -= t * use[i, o, r]
                free[a, r] += t * use[i, k, r]
            for b in range(len(spare)):
                spare[b] -= t * (toll[i, o, b] - toll[i, k, b])
            lowest = -key[n]
            if _idle(free[a], prices[a]) > worth:
                length = wait(a, queue, waiting, first, length)
            if _idle(free[j], prices[j]) <= worth:
                break
        level[j] = min(level[j], lowest) * LESS


@compiled
def _settled(i, region, guide, use, units, prices, only, place, pays, worths):  # type: ignore[no-untyped-def]
    """Note where a row's units are, if all are at one option, and what they cost and take there."""
    k = only[i] = _only(units[i])
    if k >= 0:
        place[i], pays[i] = region[i, k], guide[i, k]
        worths[i] = _worth(use[i, k], prices[region[i, k]])


@compiled
def _copied(j, start, bids, guide, use, prices, asks, takes, values):  # type: ignore[no-untyped-def]
    """Copy what a region's bids ask and take, and leave out those that are none; where they end."""
    options, end = guide.shape[1], start[j]
    for n in range(start[j], start[j + 1]):
        i, o = bids[n] // options, bids[n] % options
        value = _worth(use[i, o], prices[j])
        if guide[i, o] < np.inf and value > 0:
            bids[end], asks[end], values[end] = bids[n], guide[i, o], value
            for r in range(use.shape[2]):
                takes[end, r] = use[i, o, r]
            end += 1
    return end


@compiled
def _worth(use, price):  # type: ignore[no-untyped-def]
    """What a unit takes of a region, at that price."""
    worth = 0.0
    for r in range(len(price)):
        worth += use[r] * price[r]
    return worth


@compiled
def _only(units):  # type: ignore[no-untyped-def]
    """The option that has all units of a row, or -1."""
    found = -1
    for k in range(len(units)):
        if units[k]:
            if found >= 0:
                return -1
            found = k
    return found


@compiled
def _idle(free, price):  # type: ignore[no-untyped-def]
    """What a region's idle room is worth."""
    worth = 0.0
    for r in range(len(price)):
        if price[r] > 0:  # room without a price has no end where nothing is placed
            worth += max(free[r], 0.0) * price[r]
    return worth


@compiled
def _by_region(region, m):  # type: ignore[no-untyped-def]
    """Entries (row, option) in the order of their regions, and where each region's begin."""
    rows, options = region.shape
    start = np.zeros(m + 1, np.int64)
    for i in range(rows):
        for k in range(options):
            start[region[i, k] + 1] += 1
    for j in range(m):
        start[j + 1] += start[j]
    place, bids = start[:-1].copy(), np.empty(rows * options, np.int64)
    for i in range(rows):
        for k in range(options):
            bids[place[region[i, k]]] = i * options + k
            place[region[i, k]] += 1
    return start, bids
