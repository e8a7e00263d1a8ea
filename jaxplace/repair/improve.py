"""A feasible plan made cheaper: shifts into free room, then exchanges between two regions.

Both are tried in rounds over all options at once.  The loss of a plan against the bound is the
reduced cost of its units above their best, plus every free capacity times its dual: what pays is
to fill dear regions to the brim with units that hardly mind.  A shift fills room with a unit that
fits; an exchange fills it with the difference of two.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from jaxplace.native import compiled, lent, spread
from jaxplace.repair.core import Core, heap_of, pop, that_fit


MOST_MOVES = 400_000  # halves of exchanges that a round looks at
NEAREST = 6  # partners that are tried for each unit, those that fill the room best
WORST = 0.95  # of what badly placed units lose: those that are put back first,
NOTABLE = 0.05  # of what the worst of them loses: those that lose less wait
PARTS = 8  # of a scan, on all threads
SMALLEST = 1e-12  # gains below this share of the core's cost are the sum's own rounding


def shift(core: Core, watched: np.ndarray) -> np.ndarray:
    """One round of shifts; returns the regions [m + 1] that are worth another look.

    Their room changed, or a unit that found its best region full could have gone there.

    Args:
        core: changed in place.
        watched: [m + 1] bool, regions whose room is worth a look.
    """
    free = core.free()
    touched = np.zeros(len(free), bool)
    open_to = watched & (free > 0).any(1)
    if not open_to.any():
        return touched
    entry, to, gain = _scan(
        core,
        lambda rows: _shifts(
            core.region[rows], core.cost[rows], core.use[rows], core.units[rows], free, open_to
        ),
    )
    order = np.argsort(-gain, kind="stable")
    all_went = _make(
        entry[order], to[order], core.region, core.use, core.toll, core.units, free, core.spare(),
        touched)  # fmt: skip
    if not all_went and touched.any():
        touched |= open_to
    touched[-1] = False
    return touched


def _scan(
    core: Core, part: Callable[[slice], tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """Entries, options and figures that a loop finds in each slice of the rows, in their order."""

    def work(first: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        entry, to, figure = part(slice(first, stop))
        return entry + first * core.units.shape[1], to, figure

    found = spread(work, len(core.units), chunks=PARTS)
    return [np.concatenate(columns) for columns in zip(*found, strict=True)]


@compiled
def _grown(values):  # type: ignore[no-untyped-def]
    """The values in an array of twice the length."""
    more = np.empty(2 * len(values), values.dtype)
    for n in range(len(values)):
        more[n] = values[n]
    return more


@compiled
def _shifts(region, cost, use, units, free, open_to):  # type: ignore[no-untyped-def]
    """The best shift of each entry that pays: entry, option, gain per share of the room."""
    rows, options = units.shape
    found = 0
    entry, to, gains = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024)
    for i in range(rows):
        some = False
        for o in range(options):
            some = some or open_to[region[i, o]]
        if not some:
            continue
        for k in range(options):
            if not units[i, k]:
                continue
            best, best_o = SMALLEST * abs(cost[i, k]), -1
            for o in range(options):
                gain = cost[i, k] - cost[i, o]
                if gain > best and open_to[region[i, o]]:
                    fits = True
                    for r in range(free.shape[1]):
                        fits = fits and use[i, o, r] <= free[region[i, o], r]
                    if fits:
                        best, best_o = gain, o
            if best_o < 0:
                continue
            weight = 1e-12
            for r in range(free.shape[1]):
                room = free[region[i, best_o], r]
                if room > 0:
                    weight = max(weight, use[i, best_o, r] / room)
            if found == len(entry):
                entry, to, gains = _grown(entry), _grown(to), _grown(gains)
            entry[found], to[found], gains[found] = i * options + k, best_o, best / weight
            found += 1
    return entry[:found], to[:found], gains[:found]


@compiled
def _make(entry, to, region, use, toll, units, free, spare, touched):  # type: ignore[no-untyped-def]
    """Make shifts in order, as many units as still fit; whether all did."""
    use, toll, units, free, spare = lent((use, toll, units, free, spare))
    options, all_went = units.shape[1], True
    for n in range(len(entry)):
        i, k, o = entry[n] // options, entry[n] % options, to[n]
        source, target = region[i, k], region[i, o]
        t = that_fit(i, k, o, free[target], spare, use, toll, units)
        all_went = all_went and t == units[i, k]
        if t <= 0:
            continue
        units[i, k] -= np.int64(t)
        units[i, o] += np.int64(t)
        for r in range(free.shape[1]):
            free[source, r] += t * use[i, k, r]
            free[target, r] -= t * use[i, o, r]
        for b in range(len(spare)):
            spare[b] -= t * (toll[i, o, b] - toll[i, k, b])
        touched[source] = touched[target] = True
    return all_went


def exchange(core: Core, prices: np.ndarray) -> int:
    """One round of exchanges, at most one a row; returns how many were made."""
    free = core.free()
    worth = (np.where(np.isfinite(free), np.maximum(free, 0.0), 0.0) * prices).sum(1)

    def eager_in(first: int, stop: int) -> np.ndarray:
        rows = slice(first, stop)
        return _eager(core.region[rows], core.guide[rows], core.use[rows], core.units[rows], prices)

    eager = np.maximum.reduce(spread(eager_in, len(core.units), chunks=PARTS))
    entry, to, extra = _scan(
        core,
        lambda rows: _halves(
            core.region[rows], core.guide[rows], core.use[rows], core.units[rows], prices, worth,
            eager),
    )  # fmt: skip
    if not len(entry):
        return 0
    if len(entry) > MOST_MOVES:  # those that mind least
        least = np.sort(np.argpartition(extra, MOST_MOVES)[:MOST_MOVES])
        entry, to = entry[least], to[least]
    options = core.units.shape[1]
    i, k = np.divmod(entry, options)
    source, target = core.region[i, k], core.region[i, to]
    scarce = 0 if free.shape[1] == 1 else int(np.argmin(_fullness(core, free)))
    order, start = _by_pair(source, target, core.use[i, k, scarce], len(free))
    entry, to, source, target = entry[order], to[order], source[order], target[order]
    halves = entry, to, source, target, start, core.region, core.cost, core.use
    gain = np.zeros(len(entry))
    spread(
        lambda a, b: _gains(a, b, halves, core.units, free, scarce, gain), len(entry), chunks=PARTS
    )
    pays = np.nonzero(gain > 0)[0]
    pays = pays[np.argsort(-gain[pays], kind="stable")]
    return _swap(pays, halves, core.toll, core.units, free, scarce, core.spare())


@compiled
def _eager(region, guide, use, units, prices):  # type: ignore[no-untyped-def]
    """[m + 1] the most that a unit at a region may gain by leaving it."""
    region, guide, use, prices = lent((region, guide, use, prices))
    eager, asks = np.zeros(len(prices)), np.empty(units.shape[1])
    for i in range(len(units)):
        least = _asks(region[i], guide[i], use[i], prices, asks)
        for k in range(len(asks)):
            if units[i, k]:
                eager[region[i, k]] = max(eager[region[i, k]], asks[k] - least)
    return eager


@compiled
def _halves(region, guide, use, units, prices, worth, eager):  # type: ignore[no-untyped-def]
    """Moves that can be half of a paying exchange: entry, option, what the unit minds.

    Such a move minds less than the room that is filled is worth, and what the unit that comes
    the other way may gain by leaving.
    """
    region, guide, use, prices = lent((region, guide, use, prices))
    rows, options = units.shape
    asks = np.empty(options)
    found = 0
    entry, to, extra = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024)
    for i in range(rows):
        _asks(region[i], guide[i], use[i], prices, asks)
        for k in range(options):
            if not units[i, k]:
                continue
            source = region[i, k]
            for o in range(options):
                minds, target = asks[o] - asks[k], region[i, o]
                if (
                    target == source
                    or not minds < np.inf
                    or minds >= worth[target] + eager[target] + worth[source]
                ):
                    continue
                if found == len(entry):
                    entry, to, extra = _grown(entry), _grown(to), _grown(extra)
                entry[found], to[found], extra[found] = i * options + k, o, minds
                found += 1
    return entry[:found], to[:found], extra[:found]


@partial(compiled, inline=True)
def _asks(region, guide, use, prices, asks):  # type: ignore[no-untyped-def]
    """What a row's options ask at these duals, into `asks`; the least of it."""
    least = np.inf
    for o in range(len(asks)):
        asks[o] = guide[o]
        for r in range(prices.shape[1]):
            asks[o] += use[o, r] * prices[region[o], r]
        least = min(least, asks[o])
    return least


@compiled
def _by_pair(source, target, frees, m):  # type: ignore[no-untyped-def]
    """Moves in the order of (source, target), then of the use that they free; and the starts."""
    start = np.zeros(m * m + 1, np.int64)
    for n in range(len(source)):
        start[source[n] * m + target[n] + 1] += 1
    for n in range(m * m):
        start[n + 1] += start[n]
    place, order = np.empty(m * m, np.int64), np.empty(len(source), np.int64)
    for key in range(m * m):
        place[key] = start[key]
    for n in range(len(source)):
        key = source[n] * m + target[n]
        order[place[key]] = n
        place[key] += 1
    for key in range(m * m):
        first, size = start[key], start[key + 1] - start[key]
        if size > 1:
            part = order[first : first + size]
            heap_of(frees, part)
            for left in range(size, 1, -1):
                pop(frees, part, left)
            for n in range(size // 2):  # popped to the end, the least came last
                part[n], part[size - 1 - n] = part[size - 1 - n], part[n]
    return order, start


@compiled
def _gains(first, last, halves, units, free, scarce, gains):  # type: ignore[no-untyped-def]
    """What each move gains with its best partner, 0 without one, from `first` to `last`."""
    halves, units, free = lent((halves, units, free))
    for n in range(first, last):
        gains[n], _ = _partner(n, halves, units, free, scarce)


@partial(compiled, inline=True)
def _partner(n, halves, units, free, scarce):  # type: ignore[no-untyped-def]
    """What a move gains with its best partner, and that one; 0 and -1 without one."""
    entry, to, source, target, start, region, cost, use = halves
    options = region.shape[1]
    m, resources = free.shape
    i, k, o = entry[n] // options, entry[n] % options, to[n]
    here, there = target[n], source[n]
    # partners of a -> b come from b -> a and must free what the unit needs beyond b's room
    need = use[i, o, scarce] - free[here, scarce] if free[here, scarce] < np.inf else -np.inf
    low, stop = start[here * m + there], start[here * m + there + 1]
    high = stop
    while low < high:
        middle = (low + high) // 2
        if use[entry[middle] // options, entry[middle] % options, scarce] < need:
            low = middle + 1
        else:
            high = middle
    best, partner = SMALLEST * abs(cost[i, k]), -1
    for other in range(low, min(low + NEAREST, stop)):
        i2, k2, o2 = entry[other] // options, entry[other] % options, to[other]
        gain = cost[i, k] - cost[i, o] + cost[i2, k2] - cost[i2, o2]
        fits = i2 != i and gain > best and units[i2, k2] > 0
        for r in range(resources):
            fits = fits and free[here, r] - use[i, o, r] + use[i2, k2, r] >= 0
            fits = fits and free[there, r] - use[i2, o2, r] + use[i, k, r] >= 0
        if fits:
            best, partner = gain, other
    return (best, partner) if partner >= 0 else (0.0, -1)


def _fullness(core: Core, free: np.ndarray) -> np.ndarray:
    """[R] mean share of room that is free, by resource; the least is what exchanges are for."""
    room = np.where(np.isfinite(core.room) & (core.room > 0), core.room, np.nan)
    return np.nan_to_num(np.nanmean(free / room, axis=0), nan=np.inf)


@compiled
def _swap(pays, halves, toll, units, free, scarce, spare):  # type: ignore[no-untyped-def]
    """Make exchanges, the most gainful first; what came before may ask for other partners."""
    halves, toll, units, free, spare = lent((halves, toll, units, free, spare))
    entry, to, source, target, _, _, _, use = halves
    options = units.shape[1]
    made = 0
    for n in pays:
        i, k, o = entry[n] // options, entry[n] % options, to[n]
        here, there = target[n], source[n]
        while units[i, k]:
            _, other = _partner(n, halves, units, free, scarce)
            if other < 0:
                break
            i2, k2, o2 = entry[other] // options, entry[other] % options, to[other]
            fits = True
            for b in range(len(spare)):
                takes = toll[i, o, b] - toll[i, k, b] + toll[i2, o2, b] - toll[i2, k2, b]
                fits = fits and (takes <= 0 or takes <= spare[b])
            if not fits:
                break
            for r in range(free.shape[1]):
                free[here, r] += use[i2, k2, r] - use[i, o, r]
                free[there, r] += use[i, k, r] - use[i2, o2, r]
            for b in range(len(spare)):
                spare[b] -= toll[i, o, b] - toll[i, k, b] + toll[i2, o2, b] - toll[i2, k2, b]
            units[i, k] -= 1
            units[i, o] += 1
            units[i2, k2] -= 1
            units[i2, o2] += 1
            made += 1
    return made


def reinsert(core: Core, prices: np.ndarray, *, worth: float) -> bool:
    """Put the units that fare worst at the duals where they belong, full or not.

    The auction that must follow lets others make room, and may move a large unit for many small
    ones, which neither a shift nor an exchange does.

    Returns:
        Whether any were moved: not if all together lose no more than `worth` [USD].
    """
    i, k = np.nonzero(core.units)
    asked = core.asks(prices)[i]
    best = asked.argmin(1)
    entry = np.arange(len(i))
    loss = (asked[entry, k] - asked[entry, best]) * core.units[i, k]
    if loss.sum() <= worth:
        return False
    order = np.argsort(-loss, kind="stable")
    worst = order[: 1 + np.searchsorted(np.cumsum(loss[order]), WORST * loss.sum())]
    worst = worst[loss[worst] >= NOTABLE * loss[worst[0]]]
    core.move(i[worst], k[worst], best[worst], core.units[i[worst], k[worst]])
    return True
