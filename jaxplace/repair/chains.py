"""Large units placed better: ejection chains, annealed, over plans that may overload a little.

Where single units are large beside a region's room, a good plan is one whose units fill every dear
region to the brim, and exchanges between two regions do not find it.  In a chain a unit leaves its
region for another, which may eject one of its own for it, and so on, until the last one takes the
place of the first, or finds room.  Chains are grown with a beam: from each of the best labels of a
level (what has been ejected, at what energy) to every option and every unit there.  A label has to
gain so far, as in Lin and Kernighan's search; every chain that gains in all can be begun such that
its parts do.

The energy is what the plan loses against the duals' bound: its units' reduced cost, and free room
at its dual.  Overload is allowed at a penalty of each region's own, which rises while the region is
overloaded and falls while it is not (Yagiura, Ibaraki and Glover 2004).  Dear chains are accepted
at a falling temperature; the cheapest plan without overload is kept.
"""

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxplace.native import compiled, lent
from jaxplace.repair.core import TINY, Core, link, unlink


FREE = 4  # units of a row at an option that may move; the others stay
DEPTH, WIDE = 8, 16  # most regions in a chain, and labels kept at each of them
HOT, COLD = 0.7, 0.2  # first and last temperature, in what a typical row minds its second-best
# option; the first is so many times hotter as the largest row is larger than a typical one
HOTTER = 3.0  # after a run without a cheaper plan
PENALTY, LEAST = 1.8, 1.5  # of overload at first, and at least, times the region's dual
RAISE, LOWER = 1.05, 0.98  # of penalties after each tenth of the units had a chain begun
LATE = 0.6  # of a run after which penalties only rise, so that it ends without overload:
MOST_PENALTY, FLOOR = 1e6, 100.0  # times the dual by its end, and times LEAST where there is none
EXTRA = 1.5  # of a run, if there still is overload
CHEAP = 1e-3  # of a unit's cost per use: the dual that penalties of regions without one go by
RUN = 100  # chains begun for each unit in the first run
PATIENCE = 5  # runs in a row without a cheaper plan: the last
MOST_UNITS = 2000  # that may move: of the largest rows
CHUNK, CHUNK_LOOKS = 2048, 1 << 24  # chains between two looks at the clock, and units looked at
LOOKS = 1 << 25  # units looked at in all: half a second or so,
MOST_LOOKS = 1 << 30  # and the most, as long as
GAINED = 0.05  # of what is missing is what the last run brought
FIRST = 1 / 4  # of the most looks in the first run; if few rows of all take part, only LOOKS:
FEW = 1 / 8  # so many
MOST_RUNS = 200  # times as many chains as in the first run: enough where there is little to look at


class _Task(NamedTuple):
    """What does not change: units [n], each of a row [c] of the core with its options [K]."""

    row: np.ndarray  # [n] int64
    region: np.ndarray  # [c, K] int64
    cost: np.ndarray  # [c, K] USD
    asks: np.ndarray  # [c, K] USD, with all duals
    use: np.ndarray  # [c, K, R]
    toll: np.ndarray  # [c, K, B]
    near: np.ndarray  # [c, K] options, the cheapest at the duals first
    width: np.ndarray  # [c] how many of them there are
    room: np.ndarray  # [m + 1, R] what those that stay leave
    purse: np.ndarray  # [B]
    price: np.ndarray  # [m + 1, R] duals
    base: np.ndarray  # [m + 1, R] what penalties go by
    fee: np.ndarray  # [B] duals of the budgets
    fee_base: np.ndarray  # [B] what their penalties go by
    hair: np.ndarray  # [m + 1, R] overload that is a sum's own rounding


class _Plan(NamedTuple):
    """What the search changes."""

    at: np.ndarray  # [n] int64 option of each unit
    best: np.ndarray  # [n] the same in the cheapest feasible plan
    usd: np.ndarray  # [2] what both cost
    free: np.ndarray  # [m + 1, R]
    spare: np.ndarray  # [B]
    penalty: np.ndarray  # [m + 1, R] USD per use of overload
    levy: np.ndarray  # [B] the same of a budget
    energy: np.ndarray  # [m + 1] of a region's free room or overload
    most: np.ndarray  # [1] what any region's energy was at most when the penalties changed last
    head: np.ndarray  # [m + 1] first unit at a region
    after: np.ndarray  # [n] the next one, or -1
    before: np.ndarray  # [n]


class _Beam(NamedTuple):
    """Labels by level, the cheapest first."""

    unit: np.ndarray  # [DEPTH, WIDE] the unit ejected
    energy: np.ndarray  # [DEPTH, WIDE]
    owed: np.ndarray  # [DEPTH, WIDE] what of it is for budgets
    parent: np.ndarray  # [DEPTH, WIDE] label of the level before
    option: np.ndarray  # [DEPTH, WIDE] where that one's unit goes
    value: np.ndarray  # [n] energy of the label at the next level that ejects it, or inf
    seen: np.ndarray  # [c] look at a region in which a unit of this row was met last


def search(
    core: Core,
    prices: np.ndarray,
    fees: np.ndarray,
    *,
    seed: int,
    target: float,
    deadline: float,
) -> None:
    """Make a feasible plan cheaper; it is left as it is if nothing better is found.

    Args:
        core: changed in place, its capacities and budgets hold before and after.
        prices: [m + 1, R] the relaxation's duals [USD per use], 0 at the unplaced option.
        fees: [B] those of the fleet budgets [USD per toll].
        seed: of the order of the chains and of what is accepted.
        target: cost of the core at which the search ends [USD].
        deadline: `time.perf_counter` at which it ends.
    """
    if core.objective() <= target:
        return
    rows, part = _largest(core, prices)
    if part.units.sum() < 2:
        return
    task, plan, hot, cold = _begin(part, prices, fees)
    units, rng = len(task.row), np.random.default_rng(seed)
    labels, levels = np.zeros((3, DEPTH, WIDE), np.int64), np.zeros((2, DEPTH, WIDE))
    beam = _Beam(
        labels[0], levels[0], levels[1], labels[1], labels[2], np.full(units, np.inf),
        np.zeros(len(rows), np.int64))  # fmt: skip
    target -= core.objective() - plan.usd[1]  # what those that stay cost
    chains, idle = RUN * units, 0
    limit = LOOKS if len(rows) < FEW * len(core.row) else FIRST * MOST_LOOKS
    effort = _Effort(MOST_RUNS * chains, deadline, limit)
    every = max(units // 10, 1)
    size = int(np.clip(CHUNK_LOOKS // (DEPTH * WIDE * units), 1, CHUNK))
    while idle < PATIENCE and chains and plan.usd[1] > target:
        before, first = plan.usd[1], 0
        plan.penalty[:], plan.levy[:] = PENALTY * task.base, PENALTY * task.fee_base
        while plan.usd[1] > target and not effort.over():
            if first >= (chains if _holds(task, plan, 1.0) else EXTRA * chains):
                break
            turn = np.arange(first, first + min(size, max(chains - first, every)))
            heat = HOTTER**idle * hot * (cold / hot) ** (turn / chains)
            bars = heat * rng.exponential(size=len(turn))
            picks = rng.integers(units, size=len(turn))
            looks = _anneal(task, plan, beam, picks, bars, first, chains, every)
            first += len(turn)
            chains = first + effort.rest(len(turn), looks, chains - first)
        idle = 0 if plan.usd[1] < before else idle + 1
        gained = before - plan.usd.min() >= GAINED * (before - target)
        chains = effort.next_run(2 * chains, gained=gained)
    core.units[rows] -= part.units
    np.add.at(core.units, (rows[task.row], plan.best), 1)


def _largest(core: Core, prices: np.ndarray) -> tuple[np.ndarray, Core]:
    """Rows, and a core of those of their units that may move, over what all others leave.

    The others are units of small rows, which shifts and exchanges place as well, and most of many
    that are alike.
    """
    loose = np.minimum(core.units, FREE)
    worth = np.einsum("ckr,ckr->ck", core.use, prices[core.region]).max(1)
    order = np.argsort(-worth, kind="stable")
    rows = np.sort(order[np.cumsum(loose[order].sum(1)) <= MOST_UNITS])
    stay = core.units.copy()
    stay[rows] -= loose[rows]
    others = replace(core, units=stay)
    return rows, Core(
        core.row[rows], core.region[rows], core.cost[rows], core.use[rows], core.toll[rows],
        core.guide[rows], loose[rows], others.free(), others.spare())  # fmt: skip


@dataclass
class _Effort:
    """How long the runs are: each twice as long as the last, and the last as long as may be."""

    most: int  # chains in all
    deadline: float
    limit: float  # looks up to which a run may go
    done: int = 0
    looks: int = 0
    last: float = field(default_factory=time.perf_counter)  # look at the clock
    seconds: float = 0.0  # that a chain takes; 0: not known yet, as the first ones are compiled

    def next_run(self, chains: int, *, gained: bool) -> int:
        """Chains to begin; 0: what is left is not worth a run."""
        self.limit = MOST_LOOKS if gained else LOOKS
        left = self._left()
        if left >= 3 * chains:  # another one can follow
            return chains
        return left if 4 * left >= chains else 0

    def rest(self, chains: int, looks: int, rest: int) -> int:
        """How many of the run's other chains there is time for, after so many more."""
        now = time.perf_counter()
        self.seconds = (now - self.last) / chains if self.done else 0.0
        self.done, self.looks, self.last = self.done + chains, self.looks + looks, now
        return min(rest, self._left())

    def _left(self) -> int:
        """Chains that there is time for."""
        left = (self.deadline - time.perf_counter()) / max(self.seconds, 1e-9)
        left = min(left, (self.limit - self.looks) * self.done / max(self.looks, 1))
        return int(np.clip(left, 0, self.most - self.done))

    def over(self) -> bool:
        """Whether to stop at once."""
        return self.looks >= MOST_LOOKS or time.perf_counter() > self.deadline


def _begin(core: Core, prices: np.ndarray, fees: np.ndarray) -> tuple[_Task, _Plan, float, float]:
    """The search's own arrays, and the temperatures of a run [USD]."""
    row, at = np.nonzero(core.units)
    row, at = np.repeat(row, core.units[row, at]), np.repeat(at, core.units[row, at])
    room = np.minimum(core.room, 1e300)  # so that 0 times what is free is 0
    asks = core.cost + core.toll @ fees + np.einsum("ckr,ckr->ck", core.use, prices[core.region])
    near = np.argsort(asks, 1, kind="stable")
    minds = np.diff(np.take_along_axis(asks, near[:, :2], 1))
    minds = minds[np.isfinite(minds) & (minds > 0)]
    known = np.isfinite(core.cost)
    usd = np.abs(core.cost[known]).mean()
    use, toll = (v[known].mean(0) for v in (core.use, core.toll))
    with np.errstate(divide="ignore", invalid="ignore"):
        base = np.maximum(prices, np.where(use > 0, CHEAP * usd / use, 0.0))
        fee_base = np.maximum(fees, np.where(toll > 0, CHEAP * usd / toll, 0.0))
    full = np.where(core.room < np.inf, np.abs(core.room), 0.0)
    task = _Task(
        row, core.region.astype(np.int64), core.cost.copy(), asks, core.use.copy(),
        core.toll.copy(), near, known.sum(1), room,
        core.purse, prices.copy(), base, fees.copy(), fee_base,
        TINY * full + 1e-12 * use)  # fmt: skip
    here, size = core.region[row, at], len(room)
    order = np.argsort(here, kind="stable")
    head, after, before = np.full(size, -1), np.full(len(row), -1), np.full(len(row), -1)
    for x in order[::-1]:
        link(x, here[x], head, after, before)
    free = room.copy()
    np.subtract.at(free, here, core.use[row, at])
    cost = float(np.cumsum(core.cost[row, at])[-1])  # in turn, as below
    spare = task.purse - core.toll[row, at].sum(0)
    plan = _Plan(
        at, at.copy(), np.array([cost, cost]), free, spare, PENALTY * base, PENALTY * fee_base,
        np.zeros(size), np.zeros(1), head, after, before)  # fmt: skip
    typical = float(np.median(minds)) if len(minds) else TINY
    takes = np.einsum("ckr,ckr->c", core.use, base[core.region]) / known.sum(1)
    spread = float(takes.max() / max(np.median(takes), TINY * takes.max(), 1e-300))
    return task, plan, HOT * typical * spread, COLD * typical


@compiled
def _anneal(task, plan, beam, picks, bars, first, chains, every):  # type: ignore[no-untyped-def]
    """Begin a chain at each of some units; how many units were looked at."""
    task, plan, beam, picks, bars = lent((task, plan, beam, picks, bars))
    late, looks = LATE * chains, 0
    rush = MOST_PENALTY ** (2 * every / (chains - late))  # at the very end, and on the way less
    for s in range(len(picks)):
        start, ending = picks[s], (first + s - late) / (chains - late)
        if (first + s) % every == 0:
            if ending < 0:
                _reweigh(task, plan, RAISE, LOWER, LEAST)
            else:
                _reweigh(task, plan, max(rush**ending, RAISE), 1.0, LEAST * FLOOR**ending)
        if ending >= 0:
            start = _crowded(task, plan, start)
        level, label, option, seen = _grow(task, plan, beam, start, bars[s])
        looks += seen
        if level >= 0:
            _make(task, plan, beam, level, label, option)
            low = plan.usd[1] - TINY * abs(plan.usd[1])
            if plan.usd[0] < low and _fits(task, plan) and plan.usd[0] < low:
                plan.usd[1] = plan.usd[0]
                for i in range(len(plan.at)):  # a slice would take a second to compile
                    plan.best[i] = plan.at[i]
    return looks


@compiled
def _crowded(task, plan, x):  # type: ignore[no-untyped-def]
    """The next unit, from x on, that is where there is overload; x if there is none."""
    units = len(task.row)
    for n in range(units):
        y = (x + n) % units
        j = task.region[task.row[y], plan.at[y]]
        for r in range(task.room.shape[1]):
            if plan.free[j, r] < -task.hair[j, r]:
                return y
    return x


@compiled
def _reweigh(task, plan, raised, lower, least):  # type: ignore[no-untyped-def]
    """Penalties rise where there is overload, and fall where there is none."""
    for b in range(len(plan.spare)):
        change = raised if plan.spare[b] < 0 else lower
        levy, base = plan.levy[b] * change, task.fee_base[b]
        plan.levy[b] = min(max(levy, least * base), MOST_PENALTY * base)
    plan.most[0] = 0.0
    for j in range(len(task.room)):
        for r in range(task.room.shape[1]):
            change = raised if plan.free[j, r] < -task.hair[j, r] else lower
            penalty, base = plan.penalty[j, r] * change, task.base[j, r]
            plan.penalty[j, r] = min(max(penalty, least * base), MOST_PENALTY * base)
        _weigh(task, plan, j)
        plan.most[0] = max(plan.most[0], plan.energy[j])


@partial(compiled, inline=True)
def _changed(task, plan, j, gone, k, come, o):  # type: ignore[no-untyped-def]
    """The energy of a region when one unit has left it and another has come; row -1: none.

    Overload costs its penalty, beside the dual that its units pay.
    """
    total = 0.0
    for r in range(task.room.shape[1]):
        free, price = plan.free[j, r], task.price[j, r]
        if gone >= 0:
            free += task.use[gone, k, r]
        if come >= 0:
            free -= task.use[come, o, r]
        total += _worth(free, price, plan.penalty[j, r])
    return total


@partial(compiled, inline=True)
def _worth(free, price, penalty):  # type: ignore[no-untyped-def]
    """What is lost by what is free, or by the overload."""
    return price * free if free >= 0 else (price - penalty) * free


@compiled
def _weigh(task, plan, j):  # type: ignore[no-untyped-def]
    """The energy of a region as it is."""
    plan.energy[j] = _changed(task, plan, j, -1, 0, -1, 0)


@compiled
def _grow(task, plan, beam, start, bar):  # type: ignore[no-untyped-def]
    """The best chain from a unit that costs less than `bar`.

    Returns:
        Its last level (-1: there is none) and label, the option that its last unit takes, and how
        many units were looked at.
    """
    row, k = task.row[start], plan.at[start]
    origin, budgets = task.region[row, k], len(plan.spare)
    looks, best, end, end_label, end_option = 0, bar, -1, -1, -1
    visit = 0
    for i in range(len(beam.seen)):
        beam.seen[i] = visit
    beam.unit[0, 0], beam.parent[0, 0] = start, -1
    beam.energy[0, 0], beam.owed[0, 0] = -plan.energy[origin], 0.0
    for b in range(budgets):
        beam.energy[0, 0] -= _worth(plan.spare[b], task.fee[b], plan.levy[b])
    left = _changed(task, plan, origin, row, k, -1, 0)
    size = 1
    for level in range(DEPTH):
        found, last = 0, bar  # labels at the next level, and what another one must be below
        for label in range(size):
            x = beam.unit[level, label]
            i, here = task.row[x], plan.at[x]
            so_far = beam.energy[level, label] - beam.owed[level, label] - task.asks[i, here]
            for rank in range(task.width[i]):
                o = task.near[i, rank]
                j, value = task.region[i, o], so_far + task.asks[i, o]
                if value - plan.most[0] >= max(best, last):
                    break
                if o == here or _met(task, plan, beam, level, label, j, origin):
                    continue
                owed = _owed(task, plan, beam, level, label, o) if budgets else 0.0
                looks += 1
                if j == origin:
                    total = value + owed + _changed(task, plan, j, row, k, i, o)
                else:
                    value += owed - plan.energy[j]
                    if value >= max(best, last):
                        continue
                    total = value + left + _changed(task, plan, j, -1, 0, i, o)
                if total < best:
                    best, end, end_label, end_option = total, level, label, o
                if j == origin or level == DEPTH - 1:
                    continue
                visit += 1
                y = plan.head[j] if value < last else -1
                while y >= 0:
                    looks, out = looks + 1, task.row[y]
                    if beam.seen[out] != visit:  # its others there are as good
                        beam.seen[out] = visit
                        there = value + _changed(task, plan, j, out, plan.at[y], i, o)
                        if there < last and there < beam.value[y]:
                            found = _keep(beam, level + 1, found, y, there, owed, label, o)
                            if found == WIDE:
                                last = beam.energy[level + 1, WIDE - 1]
                    y = plan.after[y]
        for n in range(found):
            beam.value[beam.unit[level + 1, n]] = np.inf
        size = found
        if not size:
            break
    return end, end_label, end_option, looks


@compiled
def _met(task, plan, beam, level, label, j, origin):  # type: ignore[no-untyped-def]
    """Whether a chain has been at a region already; it may end where it began, once it has left."""
    if j == origin:
        return level == 0
    while level > 0:
        x = beam.unit[level, label]
        if task.region[task.row[x], plan.at[x]] == j:
            return True
        level, label = level - 1, beam.parent[level, label]
    return False


@compiled
def _owed(task, plan, beam, level, label, o):  # type: ignore[no-untyped-def]
    """The energy of the budgets after a chain that ends with this option."""
    total = 0.0
    for b in range(len(plan.spare)):
        spare, at, n, to = plan.spare[b], level, label, o
        while at >= 0:
            x = beam.unit[at, n]
            i = task.row[x]
            spare -= task.toll[i, to, b] - task.toll[i, plan.at[x], b]
            to, n, at = beam.option[at, n], beam.parent[at, n], at - 1
        total += _worth(spare, task.fee[b], plan.levy[b])
    return total


@compiled
def _keep(beam, level, found, y, energy, owed, label, option):  # type: ignore[no-untyped-def]
    """Make ejecting unit y a label of a level, in place of a dearer one; how many there are."""
    if beam.value[y] < np.inf:
        s = 0
        while beam.unit[level, s] != y:
            s += 1
    elif found < WIDE:
        s, found = found, found + 1
    else:
        s = WIDE - 1
        beam.value[beam.unit[level, s]] = np.inf
    while s > 0 and beam.energy[level, s - 1] > energy:
        for values in (beam.unit, beam.parent, beam.option):
            values[level, s] = values[level, s - 1]
        for values in (beam.energy, beam.owed):
            values[level, s] = values[level, s - 1]
        s -= 1
    beam.value[y], beam.energy[level, s], beam.owed[level, s] = energy, energy, owed
    beam.unit[level, s], beam.parent[level, s], beam.option[level, s] = y, label, option
    return found


@compiled
def _make(task, plan, beam, level, label, option):  # type: ignore[no-untyped-def]
    """Move the units of a chain."""
    while level >= 0:
        x = beam.unit[level, label]
        i, k = task.row[x], plan.at[x]
        source, target = task.region[i, k], task.region[i, option]
        for r in range(task.room.shape[1]):
            plan.free[source, r] += task.use[i, k, r]
            plan.free[target, r] -= task.use[i, option, r]
        for b in range(len(plan.spare)):
            plan.spare[b] += task.toll[i, k, b] - task.toll[i, option, b]
        plan.usd[0] += task.cost[i, option] - task.cost[i, k]
        unlink(x, source, plan.head, plan.after, plan.before)
        link(x, target, plan.head, plan.after, plan.before)
        plan.at[x] = option
        _weigh(task, plan, source)
        _weigh(task, plan, target)
        option, label, level = beam.option[level, label], beam.parent[level, label], level - 1


@compiled
def _fits(task, plan):  # type: ignore[no-untyped-def]
    """Whether nothing is overloaded; all sums are taken anew before that is believed."""
    if not _holds(task, plan, 1e3):
        return False
    plan.usd[0] = 0.0
    for j in range(len(task.room)):
        for r in range(task.room.shape[1]):
            plan.free[j, r] = task.room[j, r]
    for b in range(len(plan.spare)):
        plan.spare[b] = task.purse[b]
    for x in range(len(plan.at)):
        i, k = task.row[x], plan.at[x]
        plan.usd[0] += task.cost[i, k]
        for r in range(task.room.shape[1]):
            plan.free[task.region[i, k], r] -= task.use[i, k, r]
        for b in range(len(plan.spare)):
            plan.spare[b] -= task.toll[i, k, b]
    return _holds(task, plan, 1.0)


@compiled
def _holds(task, plan, hairs):  # type: ignore[no-untyped-def]
    """Whether no limit is exceeded by more than so many hairs."""
    for b in range(len(plan.spare)):
        if plan.spare[b] < 0:
            return False
    for j in range(len(task.room)):
        for r in range(task.room.shape[1]):
            if plan.free[j, r] < -hairs * task.hair[j, r]:
                return False
    return True
