"""A feasible plan made cheaper: shifts into free room, then exchanges between two regions.

Both are tried in rounds over all options at once.  The loss of a plan against the bound is the
reduced cost of its units above their best, plus every free capacity times its dual: what pays is
to fill dear regions to the brim with units that hardly mind.  A shift fills room with a unit that
fits; an exchange fills it with the difference of two.
"""

import numpy as np

from jaxplace.repair.core import Core, prefix


MOST_MOVES = 1_000_000  # halves of exchanges that a round looks at
MOST = 8  # exchanges a round, times the regions
NEAREST = 6  # partners that are tried for each unit, those that fill the room best
WORST = 0.5  # of what badly placed units lose: those that are put back first
SMALLEST = 1e-12  # gains below this share of the core's cost are the sum's own rounding


def shift(core: Core, watched: np.ndarray) -> np.ndarray:
    """One round of shifts; returns the regions [m + 1] whose room changed.

    Args:
        core: changed in place.
        watched: [m + 1] bool, regions whose room is worth a look.
    """
    free, spare = core.free(), core.spare()
    last = len(free) - 1
    touched = np.zeros(len(free), bool)
    open_to = watched & (free > 0).any(1)
    near = np.nonzero(open_to[core.region].any(1))[0]
    if not len(near):
        return touched
    i, k = np.nonzero(core.units[near])
    i = near[i]
    fits = (core.use[i] <= free[core.region[i]]).all(2) & open_to[core.region[i]]
    gain = np.where(fits, core.cost[i, k][:, None] - core.cost[i], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.nan_to_num((core.use[i] / free[core.region[i]]).max(2), nan=0.0, posinf=0.0)
    best = gain.argmax(1)
    entry = np.arange(len(i))
    gain, weight = gain[entry, best], weight[entry, best]
    pays = gain > SMALLEST * np.abs(core.cost[i, k])
    i, k, best, gain, weight = i[pays], k[pays], best[pays], gain[pays], weight[pays]
    target = core.region[i, best]
    order = np.lexsort((-gain / np.maximum(weight, 1e-12), target))
    i, k, best, target = i[order], k[order], best[order], target[order]
    t = _fitting(core, i, k, best, target, free)
    t = _within(t, core.toll[i, best] - core.toll[i, k], spare, gain[order])
    go = t > 0
    core.move(i[go], k[go], best[go], t[go])
    touched[core.region[i[go], k[go]]] = True
    touched[target[go]] = True
    touched[last] = False
    return touched


def _fitting(
    core: Core,
    i: np.ndarray,
    k: np.ndarray,
    best: np.ndarray,
    target: np.ndarray,
    free: np.ndarray,
) -> np.ndarray:
    """Units of each entry that fit after those before it at the same target."""
    use, units = core.use[i, best], core.units[i, k]
    # sources empty out meanwhile, which only helps; a row's other entries are none of ours
    left = free[target] - prefix(target, use * units[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = np.where(use > 0, np.floor(left / use * (1 + 1e-15)), np.inf).min(1)
    return np.clip(fit, 0, units).astype(np.int64)


def _within(t: np.ndarray, toll: np.ndarray, spare: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """The same moves as far as the fleet budgets let them, the most gainful first."""
    for b in range(toll.shape[1]):
        order = np.argsort(-gain, kind="stable")
        takes = np.maximum(toll[order, b] * t[order], 0.0)
        keep = np.cumsum(takes) <= max(spare[b], 0.0)
        t = t.copy()
        t[order[~(keep | (takes == 0))]] = 0
    return t


def exchange(core: Core, prices: np.ndarray) -> int:
    """One round of exchanges, at most one a row; returns how many were made."""
    free = core.free()
    i, k = np.nonzero(core.units)
    worth = (np.where(np.isfinite(free), np.maximum(free, 0.0), 0.0) * prices).sum(1)
    asked = core.guide + np.einsum("ckr,ckr->ck", core.use, prices[core.region])
    extra = asked[i] - asked[i, k][:, None]  # [e, K] what a unit minds, at the duals
    source = core.region[i, k]
    # a move can be half of a paying exchange only if it minds less than the room that is filled
    # is worth, and what the unit that comes the other way may gain by leaving
    eager = np.zeros(len(free))
    np.maximum.at(eager, source, -extra.min(1))
    target = core.region[i]
    able = np.isfinite(extra) & (target != source[:, None])
    able &= extra < worth[target] + eager[target] + worth[source][:, None]
    e, to = np.nonzero(able)
    if not len(e):
        return 0
    if len(e) > MOST_MOVES:  # those that mind least
        least = np.sort(np.argpartition(extra[e, to], MOST_MOVES)[:MOST_MOVES])
        e, to = e[least], to[least]
    i, k, source = i[e], k[e], source[e]
    target = core.region[i, to]
    return _match(core, i, k, to, source, target, free)


def reinsert(core: Core, prices: np.ndarray, *, worth: float) -> bool:
    """Put the units that fare worst at the duals where they belong, full or not.

    The auction that must follow lets others make room, and may move a large unit for many small
    ones, which neither a shift nor an exchange does.

    Returns:
        Whether any were moved: not if all together lose no more than `worth` [USD].
    """
    i, k = np.nonzero(core.units)
    asked = core.guide[i] + np.einsum("ekr,ekr->ek", core.use[i], prices[core.region[i]])
    best = asked.argmin(1)
    entry = np.arange(len(i))
    loss = (asked[entry, k] - asked[entry, best]) * core.units[i, k]
    if loss.sum() <= worth:
        return False
    order = np.argsort(-loss, kind="stable")
    worst = order[: 1 + np.searchsorted(np.cumsum(loss[order]), WORST * loss.sum())]
    core.move(i[worst], k[worst], best[worst], core.units[i[worst], k[worst]])
    return True


def _match(
    core: Core,
    i: np.ndarray,
    k: np.ndarray,
    to: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    free: np.ndarray,
) -> int:
    """Pair moves a -> b with moves b -> a and make the best disjoint pairs."""
    size = len(free)
    scarce = 0 if free.shape[1] == 1 else int(np.argmin(_fullness(core, free)))
    use = core.use[i, to, scarce]  # at the target
    back = core.use[i, k, scarce]  # what leaves the source
    change = core.cost[i, to] - core.cost[i, k]
    key = source.astype(np.int64) * size + target
    order = np.lexsort((back, key))
    i, k, to, source, target = i[order], k[order], to[order], source[order], target[order]
    use, back, change, key = use[order], back[order], change[order], key[order]
    # partners of a -> b come from b -> a and must free what the unit needs beyond b's room
    wanted = target.astype(np.int64) * size + source
    start, stop = np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right")
    need = use - np.where(np.isfinite(free[target, scarce]), free[target, scarce], np.inf)
    first = _search(back, need, start, stop)
    best_gain, best_with = np.zeros(len(i)), np.zeros(len(i), np.int64)
    for d in range(NEAREST):
        other = np.minimum(first + d, len(i) - 1)
        valid = (first + d < stop) & (i[other] != i)
        gain = np.where(valid, -(change + change[other]), 0.0)
        here = free[target] - core.use[i, to] + core.use[i[other], k[other]]
        there = free[source] - core.use[i[other], to[other]] + core.use[i, k]
        valid &= (here >= 0).all(1) & (there >= 0).all(1)
        better = valid & (gain > best_gain)
        best_gain = np.where(better, gain, best_gain)
        best_with = np.where(better, other, best_with)
    return _apply(core, (i, k, to), (i[best_with], k[best_with], to[best_with]), best_gain)


def _fullness(core: Core, free: np.ndarray) -> np.ndarray:
    """[R] mean share of room that is free, by resource; the least is what exchanges are for."""
    room = np.where(np.isfinite(core.room) & (core.room > 0), core.room, np.nan)
    return np.nan_to_num(np.nanmean(free / room, axis=0), nan=np.inf)


def _search(value: np.ndarray, need: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """First position of [start, stop) whose value is at least `need`; values rise within it."""
    low, high = start, stop
    while (low < high).any():
        middle = (low + high) // 2
        below = value[np.minimum(middle, len(value) - 1)] < need
        open_ = low < high
        low = np.where(open_ & below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    return low


def _apply(
    core: Core,
    moves: tuple[np.ndarray, np.ndarray, np.ndarray],
    partners: tuple[np.ndarray, np.ndarray, np.ndarray],
    gain: np.ndarray,
) -> int:
    """Make exchanges, the most gainful first, as far as what came before leaves them possible."""
    pays = np.nonzero(gain > SMALLEST * np.abs(core.cost[moves[0], moves[1]]))[0]
    pays = pays[np.argsort(-gain[pays], kind="stable")][: MOST * len(core.room)]
    free, spare = core.free(), core.spare()
    seen: set[int] = set()
    pairs = zip(*(v[pays].tolist() for v in moves + partners), strict=True)
    for i, k, to, i2, k2, to2 in pairs:
        if i in seen or i2 in seen:
            continue
        here, there = core.region[i, to], core.region[i, k]
        after_here = free[here] - core.use[i, to] + core.use[i2, k2]
        after_there = free[there] - core.use[i2, to2] + core.use[i, k]
        toll = core.toll[i, to] - core.toll[i, k] + core.toll[i2, to2] - core.toll[i2, k2]
        if min(after_here.min(), after_there.min()) < 0 or ((toll > 0) & (toll > spare)).any():
            continue
        free[here], free[there], spare = after_here, after_there, spare - toll
        core.units[[i, i, i2, i2], [k, to, k2, to2]] += np.array([-1, 1, -1, 1])
        seen |= {i, i2}
    return len(seen) // 2
