"""Overloads cleared by an auction: full regions raise their price until the least attached leave.

Bertsekas' auction for transportation problems (Bertsekas and Castanon 1989), one region at a
time.  A unit's attachment is what its second choice would cost it more, per use of what the
region is short of.  An overloaded region lets its least attached units go, to their second choice
at current prices, full or not, and asks from then on what the last of them was not ready to pay.
Chains of moves through full regions come about by themselves; the unplaced option, never full,
ends them.
"""

import time

import numpy as np

from jaxplace.native import compiled
from jaxplace.repair.core import TINY, Core


VISITS = 400  # of a region
TRIAL_VISITS = 100  # of all regions, to make room for one entry
MOST_TRIALS, BATCH = 2000, 25
UPDATES = 60  # of all prices, in one auction
SMALLEST = 1e-12  # gains below this share of a cost are the sum's own rounding
PATIENCE = 40  # visits after which price rises grow, so that ties cannot go on for ever


def clear_overloads(core: Core, prices: np.ndarray, *, rise: float) -> None:
    """Make every capacity hold.

    Args:
        core: changed in place.
        prices: [m + 1, R] USD per use to start from, the relaxation's duals; 0 at m.
        rise: least rise of a price at a visit, USD per mean use of a unit.
    """
    if not len(core.row):
        return
    least, tolerance = _hairs(core, rise)
    free = core.free()
    short = (free < -tolerance).any(1)
    if not short.any():
        return
    lists = _lists(core.region, core.units, len(free))
    for _ in range(UPDATES):
        asked = _guided(core, prices, free, float(_sizes(core, -free[short]).max()))
        _auction(
            core.region, core.guide, core.use, core.units, free, asked, least, tolerance, lists,
            np.nonzero(short)[0], len(free))  # fmt: skip
        free = core.free()
        short = (free < -tolerance).any(1)
        if not short.any():
            return
    _drop(core, free, tolerance)


def reinsert(
    core: Core, prices: np.ndarray, *, rise: float, worth: float, deadline: float
) -> float:
    """Put units that fare badly at the duals where they belong, full or not, one at a time.

    The auction that follows lets others make room, over as many regions as it takes, and may move
    a large unit for many small ones, which neither a shift nor an exchange does.  What does not
    pay is undone.

    Args:
        core: changed in place; feasible before and after.
        prices: [m + 1, R] the relaxation's duals [USD per use].
        rise: as in `clear_overloads`.
        worth: badly placed units that lose less than this in all are left where they are [USD].
        deadline: `time.perf_counter` after which no more are tried.

    Returns:
        What was gained [USD].
    """
    entry, to, loss = _misplaced(core.region, core.guide, core.use, core.units, prices)
    order = np.argsort(-loss, kind="stable")
    left = loss.sum() - np.cumsum(loss[order]) + loss[order]
    order = order[: min(int((left > worth).sum()), MOST_TRIALS)]
    if not len(order):
        return 0.0
    least, tolerance = _hairs(core, rise)
    free, lists, spare = core.free(), _lists(core.region, core.units, len(core.room)), core.spare()
    gained = 0.0
    for start in range(0, len(order), BATCH):
        if time.perf_counter() > deadline:
            break
        part = order[start : start + BATCH]
        i, o = entry[part] // core.units.shape[1], to[part]
        size = _sizes(core, core.use[i, o] * core.units[i].max(1)[:, None])
        asked = _guided(core, prices, free, float(np.median(size)))
        gained += _try(
            entry[part], o, core.region, core.guide, core.cost, core.use, core.toll,
            core.units, free, spare, asked, least, tolerance, lists)  # fmt: skip
    return gained


def _sizes(core: Core, use: np.ndarray) -> np.ndarray:
    """Uses [e, R] as one number each [mean units]."""
    return (np.maximum(use, 0.0) / np.maximum(core.use.mean((0, 1)), 1e-300)).mean(1)


def _guided(core: Core, prices: np.ndarray, free: np.ndarray, size: float) -> np.ndarray:
    """Prices at which second choices lead to where there is room for `size` mean units.

    Each region asks what the cheapest chain of moves costs that ends where there is room: the
    global price update of push-relabel methods (Goldberg 1997).  Without it what is displaced
    wanders among full regions while prices rise by hairs.
    """
    each = 1.0 / np.maximum(core.use.mean((0, 1)), 1e-300) / core.use.shape[2]
    wide = np.where(np.isfinite(free), free, np.inf) @ each
    room = ((free > 0).all(1) & (wide >= size)) | ~np.isfinite(free).all(1)
    rises = _chains(core.region, core.guide, core.use, core.units, prices, each, size, room)
    return prices + rises[:, None] * each


@compiled
def _chains(region, guide, use, units, prices, each, size, room):  # type: ignore[no-untyped-def]
    """[m + 1] USD per mean unit of the cheapest chain of moves from each region to one of `room`.

    A step from a to b costs what the unit at a that minds least would mind; a unit larger than
    `size` is worth no more than that.
    """
    rows, options = units.shape
    m, resources = prices.shape
    step = np.full((m, m), np.inf, np.float32)
    asks = np.empty(options)
    for i in range(rows):
        for o in range(options):
            asks[o] = guide[i, o]
            for r in range(resources):
                asks[o] += use[i, o, r] * prices[region[i, o], r]
        for k in range(options):
            if not units[i, k]:
                continue
            worth = 0.0
            for r in range(resources):
                worth += use[i, k, r] * each[r]
            worth = min(worth, size)
            if worth <= 0:
                continue
            a = region[i, k]
            for o in range(options):
                if asks[o] < np.inf:
                    minds = np.float32(max(asks[o] - asks[k], 0.0) / worth)
                    if minds < step[a, region[i, o]]:
                        step[a, region[i, o]] = minds
    # Dijkstra's method from all that have room, against the direction of the moves
    cost, done = np.full(m, np.inf), np.zeros(m, np.bool_)
    for j in range(m):
        if room[j]:
            cost[j] = 0.0
    back = step.T.copy()
    for _ in range(m):
        b = -1
        for j in range(m):
            if not done[j] and cost[j] < np.inf and (b < 0 or cost[j] < cost[b]):
                b = j
        if b < 0:
            break
        done[b] = True
        for a in range(m):
            if not done[a]:
                cost[a] = min(cost[a], cost[b] + back[b, a])
    for j in range(m):
        if cost[j] == np.inf:
            cost[j] = 0.0
    return cost


def _hairs(core: Core, rise: float) -> tuple[np.ndarray, np.ndarray]:
    """Least rise of a price [R], and the overload that is a sum's own rounding [m + 1, R]."""
    mean_use = np.maximum(core.use.mean((0, 1)), 1e-300)
    room = np.where(np.isfinite(core.room), np.abs(core.room), 0.0)
    return rise / mean_use, TINY * room + 1e-12 * mean_use


@compiled
def _lists(region, units, m):  # type: ignore[no-untyped-def]
    """The entries (row, option) with units in a linked list for each region: head, next, last."""
    rows, options = units.shape
    head, after = np.full(m, -1), np.full(rows * options, -1)
    before = np.full(rows * options, -1)
    for i in range(rows):
        for k in range(options):
            if units[i, k]:
                _link(i * options + k, region[i, k], head, after, before)
    return head, after, before


@compiled
def _auction(region, guide, use, units, free, prices, least, tolerance, lists, short, most):  # type: ignore[no-untyped-def]
    """Visit overloaded regions, those that wait longest first, `most` times at most.

    Returns the moves made, rows of (row, from, to, units); and whether no overload is left.
    """
    head, after, before = lists
    options = units.shape[1]
    m, resources = free.shape
    moves, made = np.empty((64, 4), np.int64), 0
    queue, waiting = np.empty(m, np.int64), np.zeros(m, np.bool_)
    first, length = 0, 0
    for j in short:
        queue[length], waiting[j] = j, True
        length += 1
    visits, total = np.zeros(m, np.int64), 0
    missing, todo = np.empty(resources), np.empty(resources)
    while length:
        j = queue[first]
        first, length = (first + 1) % m, length - 1
        waiting[j] = False
        visits[j] += 1
        total += 1
        if visits[j] > VISITS or total > most:
            return moves[:made], False
        size, e = 0, head[j]
        while e >= 0:
            size, e = size + 1, after[e]
        entry, choice = np.empty(size, np.int64), np.empty(size, np.int64)
        minds, share, key = np.empty(size), np.empty(size), np.empty(size)
        for r in range(resources):
            missing[r] = -free[j, r] if free[j, r] < -tolerance[j, r] else np.inf
            todo[r] = missing[r] if missing[r] < np.inf else 0.0
        size, e = 0, head[j]
        while e >= 0:
            i, k = e // options, e % options
            own, weight, part, best, best_o = guide[i, k], 0.0, 0.0, np.inf, -1
            for r in range(resources):
                own += use[i, k, r] * prices[j, r]
                # a unit that is larger than what is missing is worth no more than that
                weight += min(use[i, k, r] / missing[r], 1.0)
                part += use[i, k, r] / missing[r]
            if weight > 0:
                for o in range(options):
                    if o != k and guide[i, o] < np.inf:
                        asks = guide[i, o]
                        for r in range(resources):
                            asks += use[i, o, r] * prices[region[i, o], r]
                        if asks < best:
                            best, best_o = asks, o
            if best_o >= 0:
                entry[size], choice[size] = e, best_o
                minds[size], share[size] = best - own, part
                key[size] = (best - own) / weight
                size += 1
            e = after[e]
        level = 0.0
        for n in np.argsort(key[:size], kind="mergesort"):
            e = entry[n]
            i, k, o = e // options, e % options, choice[n]
            needed = 0.0
            for r in range(resources):
                if todo[r] > 0 and use[i, k, r] > 0:
                    needed = max(needed, np.ceil(todo[r] / use[i, k, r] - 1e-9))
            if needed <= 0:
                if _done(todo):
                    break
                continue
            t = np.int64(min(np.float64(units[i, k]), needed))
            level = max(level, minds[n] / share[n])
            target = region[i, o]
            _move(i, k, o, t, j, target, units, head, after, before)
            if made == len(moves):
                moves = np.concatenate((moves, np.empty_like(moves)))
            moves[made, 0], moves[made, 1], moves[made, 2], moves[made, 3] = i, k, o, t
            made += 1
            for r in range(resources):
                todo[r] -= t * use[i, k, r]
                free[j, r] += t * use[i, k, r]
                free[target, r] -= t * use[i, o, r]
                if free[target, r] < -tolerance[target, r] and not waiting[target]:
                    queue[(first + length) % m], waiting[target] = target, True
                    length += 1
        growth = 1.25 ** max(visits[j] - PATIENCE, 0)
        for r in range(resources):
            # from now on the region asks what would have made the last of them go
            if missing[r] < np.inf:
                prices[j, r] += level / missing[r] + least[r] * growth
            if free[j, r] < -tolerance[j, r] and not waiting[j]:
                queue[(first + length) % m], waiting[j] = j, True
                length += 1
    return moves[:made], True


@compiled
def _misplaced(region, guide, use, units, prices):  # type: ignore[no-untyped-def]
    """Entries whose units would ask less elsewhere: entry, that option, what they lose in all."""
    rows, options = units.shape
    found = 0
    entry, to, loss = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024)
    asks = np.empty(options)
    for i in range(rows):
        best, best_o = np.inf, -1
        for o in range(options):
            asks[o] = guide[i, o]
            for r in range(prices.shape[1]):
                asks[o] += use[i, o, r] * prices[region[i, o], r]
            if asks[o] < best:
                best, best_o = asks[o], o
        for k in range(options):
            if units[i, k] and asks[k] > best:
                if found == len(entry):
                    entry = np.concatenate((entry, np.empty_like(entry)))
                    to = np.concatenate((to, np.empty_like(to)))
                    loss = np.concatenate((loss, np.empty_like(loss)))
                entry[found], to[found] = i * options + k, best_o
                loss[found] = (asks[k] - best) * units[i, k]
                found += 1
    return entry[:found], to[:found], loss[:found]


@compiled
def _try(entry, to, region, guide, cost, use, toll, units, free, spare, prices, least, tolerance,
         lists):  # type: ignore[no-untyped-def]  # fmt: skip
    """Move each entry's units to its option and let others make room; undo what does not pay."""
    head, after, before = lists
    options, resources = units.shape[1], free.shape[1]
    gained, short = 0.0, np.empty(1, np.int64)
    for n in range(len(entry)):
        i, k, o = entry[n] // options, entry[n] % options, to[n]
        t, source, target = units[i, k], region[i, k], region[i, o]
        if not t:
            continue
        _move(i, k, o, t, source, target, units, head, after, before)
        full = False
        for r in range(resources):
            free[source, r] += t * use[i, k, r]
            free[target, r] -= t * use[i, o, r]
            full = full or free[target, r] < -tolerance[target, r]
        change, fits = t * (cost[i, o] - cost[i, k]), True
        takes = t * (toll[i, o] - toll[i, k])
        moves = np.empty((0, 4), np.int64)
        if full:
            short[0] = target
            moves, fits = _auction(
                region, guide, use, units, free, prices.copy(), least, tolerance, lists, short,
                TRIAL_VISITS)  # fmt: skip
            for a in range(len(moves)):
                i2, k2, o2, t2 = moves[a]
                change += t2 * (cost[i2, o2] - cost[i2, k2])
                takes += t2 * (toll[i2, o2] - toll[i2, k2])
        for b in range(len(spare)):
            fits = fits and (takes[b] <= 0 or takes[b] <= spare[b])
        if fits and change < -SMALLEST * abs(cost[i, k]):
            gained -= change
            for b in range(len(spare)):
                spare[b] -= takes[b]
            continue
        for a in range(len(moves) - 1, -1, -1):
            i2, k2, o2, t2 = moves[a]
            _move(i2, o2, k2, t2, region[i2, o2], region[i2, k2], units, head, after, before)
            for r in range(resources):
                free[region[i2, o2], r] += t2 * use[i2, o2, r]
                free[region[i2, k2], r] -= t2 * use[i2, k2, r]
        _move(i, o, k, t, target, source, units, head, after, before)
        for r in range(resources):
            free[target, r] += t * use[i, o, r]
            free[source, r] -= t * use[i, k, r]
    return gained


@compiled
def _move(i, k, o, t, source, target, units, head, after, before):  # type: ignore[no-untyped-def]
    """Move t units of row i from option k to o, and keep the lists."""
    options = units.shape[1]
    if not units[i, o]:
        _link(i * options + o, target, head, after, before)
    units[i, k] -= t
    units[i, o] += t
    if not units[i, k]:
        _unlink(i * options + k, source, head, after, before)


@compiled
def _done(todo):  # type: ignore[no-untyped-def]
    for value in todo:
        if value > 0:
            return False
    return True


@compiled
def _link(e, j, head, after, before):  # type: ignore[no-untyped-def]
    after[e], before[e] = head[j], -1
    if head[j] >= 0:
        before[head[j]] = e
    head[j] = e


@compiled
def _unlink(e, j, head, after, before):  # type: ignore[no-untyped-def]
    if before[e] >= 0:
        after[before[e]] = after[e]
    else:
        head[j] = after[e]
    if after[e] >= 0:
        before[after[e]] = before[e]


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
