"""The undecided rows and what the decided ones leave of every capacity: where a plan is finished.

At good duals nearly every row has one region that is best by far; only the rows whose options
tie, up to the relaxation's temperature, are worth a search.  They are few, so their options are
held as float64 arrays on the host, c rows by K options.  The last option is always "unplaced",
region m, which takes nothing and is never full.
"""

from dataclasses import dataclass

import numpy as np

from jaxplace.native import compiled


BUDGET_TOL = 1e-9  # share of a budget that rounding may exceed
TINY = 1e-12  # share of a capacity below which an overload is the sum's own rounding


@dataclass
class Core:
    """Rows, their options, and the units at each option (`units` is what the search changes).

    Attributes:
        row: [c] row of the instance.
        region: [c, K] int32 option's region; m: unplaced.
        cost: [c, K] USD per unit; inf where an option is only padding.
        use: [c, K, R] use of one unit.
        toll: [c, K, B] what a unit takes of the B fleet budgets that are set.
        guide: [c, K] cost and what the budgets' duals ask [USD]: what choices go by.
        units: [c, K] int64 units at each option.
        room: [m + 1, R] capacity that the decided rows leave; inf at m.
        purse: [B] what the decided rows leave of the budgets.
    """

    row: np.ndarray
    region: np.ndarray
    cost: np.ndarray
    use: np.ndarray
    toll: np.ndarray
    guide: np.ndarray
    units: np.ndarray
    room: np.ndarray
    purse: np.ndarray

    def free(self) -> np.ndarray:
        """[m + 1, R] room less load; below 0: overload."""
        left = self.room.copy()
        _take(self.units, self.region, self.use, left)
        return left

    def load(self, units: np.ndarray) -> np.ndarray:
        """[m + 1, R] what such units [c, K], whole or not, would take."""
        amounts = np.moveaxis(units[..., None] * self.use, 2, 0)
        size = int(self.region.max(initial=-1)) + 1
        return np.stack([np.bincount(self.region.ravel(), u.ravel(), size) for u in amounts], 1)

    def hair(self) -> np.ndarray:
        """[m + 1, R] overload that is a sum's own rounding."""
        room = np.where(np.isfinite(self.room), np.abs(self.room), 0.0)
        return TINY * (room + np.maximum(self.use.mean((0, 1)), 1e-300))

    def feasible(self) -> bool:
        """Whether no region is overloaded, and every fleet budget is kept."""
        return bool((self.free() >= -self.hair()).all()) and self.kept()

    def kept(self) -> bool:
        """Whether every fleet budget is kept."""
        return bool((self.spare() >= -BUDGET_TOL * np.maximum(np.abs(self.purse), 1.0)).all())

    def spare(self) -> np.ndarray:
        """[B] what is left of the budgets; below 0: excess."""
        return self.purse - np.tensordot(self.units, self.toll, axes=2)

    def asks(self, prices: np.ndarray) -> np.ndarray:
        """[c, K] what a unit pays at each option, the place it takes included [USD]."""
        taken = np.einsum("ckr,ckr->ck", self.use, prices[self.region])
        return np.asarray(self.guide + taken)

    def objective(self) -> float:
        """Cost of the core's units [USD]."""
        i, k = np.nonzero(self.units)
        return float((self.units[i, k] * self.cost[i, k]).sum())

    def move(self, row: np.ndarray, source: np.ndarray, target: np.ndarray, t: np.ndarray) -> None:
        """Move t units of rows from option `source` to option `target`."""
        np.subtract.at(self.units, (row, source), t)
        np.add.at(self.units, (row, target), t)


@compiled
def _take(units, region, use, left):  # type: ignore[no-untyped-def]
    for i in range(units.shape[0]):
        for k in range(units.shape[1]):
            if units[i, k]:
                for r in range(left.shape[1]):
                    left[region[i, k], r] -= units[i, k] * use[i, k, r]


@compiled
def link(e, j, head, after, before):  # type: ignore[no-untyped-def]
    """Put an entry first in the list of region j."""
    after[e], before[e] = head[j], -1
    if head[j] >= 0:
        before[head[j]] = e
    head[j] = e


@compiled
def unlink(e, j, head, after, before):  # type: ignore[no-untyped-def]
    """Take an entry out of the list of region j."""
    if before[e] >= 0:
        after[before[e]] = after[e]
    else:
        head[j] = after[e]
    if after[e] >= 0:
        before[after[e]] = before[e]


@compiled
def entries_of(region, units, m):  # type: ignore[no-untyped-def]
    """The entries (row, option) with units in a linked list for each region: head, next, last."""
    rows, options = units.shape
    head, after = np.full(m, -1), np.full(rows * options, -1)
    before = np.full(rows * options, -1)
    for i in range(rows):
        for k in range(options):
            if units[i, k]:
                link(i * options + k, region[i, k], head, after, before)
    return head, after, before


@compiled
def move(i, k, o, t, source, target, units, lists):  # type: ignore[no-untyped-def]
    """Move t units of row i from option k to o, and keep the lists."""
    head, after, before = lists
    options = units.shape[1]
    if not units[i, o]:
        link(i * options + o, target, head, after, before)
    units[i, k] -= t
    units[i, o] += t
    if not units[i, k]:
        unlink(i * options + k, source, head, after, before)


@compiled
def that_fit(i, k, o, free, spare, use, toll, units):  # type: ignore[no-untyped-def]
    """Units of row i at option k that option o has room for, `free` being its region's [R]."""
    t = np.float64(units[i, k])
    for r in range(len(free)):
        if use[i, o, r] > 0:
            t = min(t, np.floor(free[r] / use[i, o, r] * (1 + 1e-15)))
    for b in range(len(spare)):
        takes = toll[i, o, b] - toll[i, k, b]
        if takes > 0:
            t = min(t, np.floor(max(spare[b], 0.0) / takes))
    return t


@compiled
def line_of(which):  # type: ignore[no-untyped-def]
    """A ring of regions in line, those of `which` [m] bool at its start, and how many they are."""
    queue, length = np.empty(len(which), np.int64), 0
    for j in range(len(which)):
        if which[j]:
            queue[length] = j
            length += 1
    return queue, length


@compiled
def wait(j, queue, waiting, first, length):  # type: ignore[no-untyped-def]
    """Put region j at the end of the line, unless it stands there; how many stand there now."""
    if waiting[j]:
        return length
    queue[(first + length) % len(queue)], waiting[j] = j, True
    return length + 1


@compiled
def overload(free, tolerance, out):  # type: ignore[no-untyped-def]
    """Fill `out` [R] with what is too much in a region; whether anything is."""
    over = False
    for r in range(len(free)):
        out[r] = -free[r] if free[r] < -tolerance[r] else 0.0
        over = over or out[r] > 0
    return over


@compiled
def any_left(todo):  # type: ignore[no-untyped-def]
    """Whether any is above 0."""
    left = 0
    for value in todo:
        left += value > 0
    return left > 0


@compiled
def heap_of(key, heap):  # type: ignore[no-untyped-def]
    """Make `heap`, positions in `key`, a heap with the least key on top, ties by position."""
    for root in range(len(heap) // 2 - 1, -1, -1):
        _sink(key, heap, len(heap), root)


@compiled
def pop(key, heap, size):  # type: ignore[no-untyped-def]
    """Take the top off a heap of that size: it goes to the place that falls free at the end."""
    top = heap[0]
    heap[0], heap[size - 1] = heap[size - 1], top
    _sink(key, heap, size - 1, 0)
    return top


@compiled
def _sink(key, heap, size, root):  # type: ignore[no-untyped-def]
    while 2 * root + 1 < size:
        child = 2 * root + 1
        if child + 1 < size and _before(key, heap[child + 1], heap[child]):
            child += 1
        if not _before(key, heap[child], heap[root]):
            return
        heap[root], heap[child] = heap[child], heap[root]
        root = child


@compiled
def _before(key, a, b):  # type: ignore[no-untyped-def]
    return key[a] < key[b] or (key[a] == key[b] and a < b)


def join(parts: list[Core], room: np.ndarray, purse: np.ndarray) -> Core:
    """One core of the rows of several; shorter lists of options are padded before "unplaced"."""
    width = max(p.region.shape[1] for p in parts)
    fills = {
        "region": len(room) - 1,
        "cost": np.inf,
        "use": 0,
        "toll": 0,
        "guide": np.inf,
        "units": 0,
    }

    def padded(part: Core, name: str) -> np.ndarray:
        values = getattr(part, name)
        gap = np.full((len(values), width - values.shape[1], *values.shape[2:]), fills[name])
        return np.concatenate([values[:, :-1], gap.astype(values.dtype), values[:, -1:]], 1)

    arrays = {name: np.concatenate([padded(p, name) for p in parts]) for name in fills}
    return Core(row=np.concatenate([p.row for p in parts]), **arrays, room=room, purse=purse)


def prefix(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum of the values before each entry within its group; entries of a group are adjacent."""
    total = np.cumsum(values, axis=0)
    before = total - values
    first = np.r_[True, group[1:] != group[:-1]] if len(group) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(first, np.arange(len(group)), 0))
    return before - before[start]
