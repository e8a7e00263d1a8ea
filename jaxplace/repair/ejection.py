"""One ejection chain after the other over a plan that may overload: what is compiled of them.

A chain is grown with a beam: from each of the best labels of a level (what has been ejected, at
what energy) to every option and every unit there.  A label has to gain so far, as in Lin and
Kernighan's search; every chain that gains in all can be begun such that its parts do.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from jaxplace.native import compiled, lent
from jaxplace.repair.core import TINY, Core, link, unlink


PENALTY, LEAST = 1.8, 1.5  # of overload at first, and at least, times the region's dual
RAISE, LOWER = 1.05, 0.98  # of penalties after each tenth of the units had a chain begun
STUCK = 1.2  # rise of the penalty of a region that no chain from any of its units relieves
LATE = 0.6  # of a run after which penalties only rise, so that it ends without overload:
MOST_PENALTY, FLOOR = 1e6, 100.0  # times the dual by its end, and times LEAST where there is none
NONE = 1e300  # cost of the cheapest feasible plan until there is one [USD]
CHEAP = 1e-3  # of a unit's cost per use: the dual that penalties of regions without one go by


class Task(NamedTuple):
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


class Plan(NamedTuple):
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
    takes: np.ndarray  # [n, R] what each unit uses where it is


class Beam(NamedTuple):
    """Labels by level, the cheapest first; at level 0 the units that a chain may begin with."""

    first: np.ndarray  # [n] those units
    unit: np.ndarray  # [depth, wide] the unit ejected
    energy: np.ndarray  # [depth, wide]
    owed: np.ndarray  # [depth, wide] what of it is for budgets
    parent: np.ndarray  # [depth, wide] label of the level before
    option: np.ndarray  # [depth, wide] where that one's unit goes
    begun: np.ndarray  # [depth, wide] unit that the chain begins with
    value: np.ndarray  # [n] energy of the label at the next level that ejects it, or inf
    seen: np.ndarray  # [c] look at a region in which a unit of this row was met last
    look: np.ndarray  # [1] number of the last look


def beam_of(task: Task, depth: int, wide: int) -> Beam:
    """A beam of so many levels and labels at each."""
    units, labels = len(task.row), np.zeros((4, depth, wide), np.int64)
    levels, looks = np.zeros((2, depth, wide)), np.zeros(len(task.region), np.int64)
    return Beam(
        np.zeros(units, np.int64), labels[0], levels[0], levels[1], labels[1], labels[2],
        labels[3], np.full(units, np.inf), looks, np.zeros(1, np.int64))  # fmt: skip


def begin(core: Core, prices: np.ndarray, fees: np.ndarray) -> tuple[Task, Plan]:
    """The search's own arrays.

    Args:
        core: its plan may overload.
        prices: [m + 1, R] the relaxation's duals [USD per use], 0 at the unplaced option.
        fees: [B] those of the fleet budgets that are set [USD per toll].
    """
    row, at = np.nonzero(core.units)
    row, at = np.repeat(row, core.units[row, at]), np.repeat(at, core.units[row, at])
    room = np.minimum(core.room, 1e300)  # so that 0 times what is free is 0
    asks = core.cost + core.toll @ fees + np.einsum("ckr,ckr->ck", core.use, prices[core.region])
    near = np.argsort(asks, 1, kind="stable")
    known = np.isfinite(core.cost)
    usd = np.abs(core.cost[known]).mean()
    use, toll = (v[known].mean(0) for v in (core.use, core.toll))
    with np.errstate(divide="ignore", invalid="ignore"):
        base = np.maximum(prices, np.where(use > 0, CHEAP * usd / use, 0.0))
        fee_base = np.maximum(fees, np.where(toll > 0, CHEAP * usd / toll, 0.0))
    task = Task(
        row, core.region.astype(np.int64), core.cost.copy(), asks, core.use.copy(),
        core.toll.copy(), near, known.sum(1), room,
        core.purse, prices.copy(), base, fees.copy(), fee_base, core.hair())  # fmt: skip
    here, size = core.region[row, at], len(room)
    order = np.argsort(here, kind="stable")
    head, after, before = np.full(size, -1), np.full(len(row), -1), np.full(len(row), -1)
    for x in order[::-1]:
        link(x, here[x], head, after, before)
    free = room.copy()
    np.subtract.at(free, here, core.use[row, at])
    cost = float(np.cumsum(core.cost[row, at])[-1])  # in turn, as below
    spare = task.purse - core.toll[row, at].sum(0)
    plan = Plan(
        at, at.copy(), np.array([cost, cost]), free, spare, PENALTY * base, PENALTY * fee_base,
        np.zeros(size), np.zeros(1), head, after, before, core.use[row, at])  # fmt: skip
    if not holds(task, plan, 1.0):
        plan.usd[1] = NONE
    return task, plan


@compiled
def anneal(task, plan, beam, picks, bars, first, chains, every):  # type: ignore[no-untyped-def]
    """Begin a chain at each of some units; how many units were looked at.

    Late in a run it begins with whichever unit of a region with overload does best, the next such
    region from that of the unit.
    """
    task, plan, beam, picks, bars = lent((task, plan, beam, picks, bars))
    late, looks = LATE * chains, 0
    rush = MOST_PENALTY ** (2 * every / (chains - late))  # at the very end, and on the way less
    for s in range(len(picks)):
        only, ending = picks[s], (first + s - late) / (chains - late)
        if (first + s) % every == 0:
            if ending < 0:
                _reweigh(task, plan, RAISE, LOWER, LEAST)
            else:
                _reweigh(task, plan, max(rush**ending, RAISE), 1.0, LEAST * FLOOR**ending)
        origin = task.region[task.row[only], plan.at[only]]
        if ending >= 0:
            crowded = _crowded(task, plan, origin)
            if crowded >= 0:
                only, origin = -1, crowded
        level, label, option, seen = _grow(task, plan, beam, origin, only, bars[s])
        looks += seen
        if level >= 0:
            _make(task, plan, beam, level, label, option)
            low = plan.usd[1] - TINY * abs(plan.usd[1])
            if plan.usd[0] < low and _fits(task, plan) and plan.usd[0] < low:
                plan.usd[1] = plan.usd[0]
                for i in range(len(plan.at)):  # a slice would take a second to compile
                    plan.best[i] = plan.at[i]
        elif only < 0:
            _raise(task, plan, origin, STUCK, 1.0, 0.0)
            plan.most[0] = max(plan.most[0], plan.energy[origin])
    return looks


@compiled
def _crowded(task, plan, first):  # type: ignore[no-untyped-def]
    """The next region, from the first one on, that is overloaded; -1: none is."""
    regions = len(task.room)
    for n in range(regions):
        j = (first + n) % regions
        for r in range(task.room.shape[1]):
            if plan.free[j, r] < -task.hair[j, r]:
                return j
    return -1


@compiled
def _reweigh(task, plan, raised, lower, least):  # type: ignore[no-untyped-def]
    """Penalties rise where there is overload, and fall where there is none."""
    for b in range(len(plan.spare)):
        change = raised if plan.spare[b] < 0 else lower
        levy, base = plan.levy[b] * change, task.fee_base[b]
        plan.levy[b] = min(max(levy, least * base), MOST_PENALTY * base)
    plan.most[0] = 0.0
    for j in range(len(task.room)):
        _raise(task, plan, j, raised, lower, least)
        plan.most[0] = max(plan.most[0], plan.energy[j])


@compiled
def _raise(task, plan, j, raised, lower, least):  # type: ignore[no-untyped-def]
    """The same for the penalties of one region."""
    for r in range(task.room.shape[1]):
        change = raised if plan.free[j, r] < -task.hair[j, r] else lower
        penalty, base = plan.penalty[j, r] * change, task.base[j, r]
        plan.penalty[j, r] = min(max(penalty, least * base), MOST_PENALTY * base)
    _weigh(task, plan, j)


@partial(compiled, inline=True)
def _changed(task, plan, j, gone, come, o):  # type: ignore[no-untyped-def]
    """The energy of a region when a unit has left it and one of another row has come; -1: none.

    Overload costs its penalty, beside the dual that its units pay.
    """
    total = 0.0
    for r in range(task.room.shape[1]):
        free, price = plan.free[j, r], task.price[j, r]
        if gone >= 0:
            free += plan.takes[gone, r]
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
    plan.energy[j] = _changed(task, plan, j, -1, -1, 0)


@compiled
def _grow(task, plan, beam, origin, only, bar):  # type: ignore[no-untyped-def]
    """The best chain from a region that costs less than `bar`; with one unit first, or any (-1).

    Returns:
        Its last level (-1: there is none) and label, the option that its last unit takes, and how
        many units were looked at.
    """
    depth, wide = beam.unit.shape
    budgets, looks = len(plan.spare), 0
    best, end, end_label, end_option = bar, -1, -1, -1
    ahead = -plan.energy[origin]
    for b in range(budgets):
        ahead -= _worth(plan.spare[b], task.fee[b], plan.levy[b])
    size = _begun(task, plan, beam, origin, only)
    for level in range(depth):
        found, last = 0, bar  # labels at the next level, and what another one must be below
        for label in range(size):
            if level == 0:
                x = root = beam.first[label]
                so_far = ahead
            else:
                x, root = beam.unit[level, label], beam.begun[level, label]
                so_far = beam.energy[level, label] - beam.owed[level, label]
            i, here = task.row[x], plan.at[x]
            so_far -= task.asks[i, here]
            left = _changed(task, plan, origin, root, -1, 0)
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
                    total = value + owed + _changed(task, plan, j, root, i, o)
                else:
                    value += owed - plan.energy[j]
                    if value >= max(best, last):
                        continue
                    total = value + left + _changed(task, plan, j, -1, i, o)
                if total < best:
                    best, end, end_label, end_option = total, level, label, o
                if j == origin or level == depth - 1:
                    continue
                beam.look[0] += 1
                y = plan.head[j] if value < last else -1
                while y >= 0:
                    looks, out = looks + 1, task.row[y]
                    if beam.seen[out] != beam.look[0]:  # its others there are as good
                        beam.seen[out] = beam.look[0]
                        there = value + _changed(task, plan, j, y, i, o)
                        if there < last and there < beam.value[y]:
                            found = _keep(beam, level + 1, found, y, there, owed, label, o, root)
                            if found == wide:
                                last = beam.energy[level + 1, wide - 1]
                    y = plan.after[y]
        for n in range(found):
            beam.value[beam.unit[level + 1, n]] = np.inf
        size = found
        if not size:
            break
    return end, end_label, end_option, looks


@compiled
def _begun(task, plan, beam, origin, only):  # type: ignore[no-untyped-def]
    """List the units at a region, one of each row, or `only` one; how many they are."""
    if only >= 0:
        beam.first[0] = only
        return 1
    beam.look[0] += 1
    size, x = 0, plan.head[origin]
    while x >= 0:
        if beam.seen[task.row[x]] != beam.look[0]:
            beam.seen[task.row[x]] = beam.look[0]
            beam.first[size] = x
            size += 1
        x = plan.after[x]
    return size


@compiled
def _unit(beam, level, label):  # type: ignore[no-untyped-def]
    """The unit of a label."""
    return beam.unit[level, label] if level > 0 else beam.first[label]


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
            x = _unit(beam, at, n)
            i = task.row[x]
            spare -= task.toll[i, to, b] - task.toll[i, plan.at[x], b]
            if at > 0:
                to, n = beam.option[at, n], beam.parent[at, n]
            at -= 1
        total += _worth(spare, task.fee[b], plan.levy[b])
    return total


@compiled
def _keep(beam, level, found, y, energy, owed, label, option, root):  # type: ignore[no-untyped-def]
    """Make ejecting unit y a label of a level, in place of a dearer one; how many there are."""
    wide = beam.unit.shape[1]
    if beam.value[y] < np.inf:
        s = 0
        while beam.unit[level, s] != y:
            s += 1
    elif found < wide:
        s, found = found, found + 1
    else:
        s = wide - 1
        beam.value[beam.unit[level, s]] = np.inf
    while s > 0 and beam.energy[level, s - 1] > energy:
        for values in (beam.unit, beam.parent, beam.option, beam.begun):
            values[level, s] = values[level, s - 1]
        for values in (beam.energy, beam.owed):
            values[level, s] = values[level, s - 1]
        s -= 1
    beam.value[y], beam.energy[level, s], beam.owed[level, s] = energy, energy, owed
    beam.unit[level, s], beam.parent[level, s] = y, label
    beam.option[level, s], beam.begun[level, s] = option, root
    return found


@compiled
def _make(task, plan, beam, level, label, option):  # type: ignore[no-untyped-def]
    """Move the units of a chain."""
    while level >= 0:
        x = _unit(beam, level, label)
        i, k = task.row[x], plan.at[x]
        source, target = task.region[i, k], task.region[i, option]
        for r in range(task.room.shape[1]):
            plan.free[source, r] += task.use[i, k, r]
            plan.free[target, r] -= task.use[i, option, r]
            plan.takes[x, r] = task.use[i, option, r]
        for b in range(len(plan.spare)):
            plan.spare[b] += task.toll[i, k, b] - task.toll[i, option, b]
        plan.usd[0] += task.cost[i, option] - task.cost[i, k]
        unlink(x, source, plan.head, plan.after, plan.before)
        link(x, target, plan.head, plan.after, plan.before)
        plan.at[x] = option
        _weigh(task, plan, source)
        _weigh(task, plan, target)
        if level > 0:
            option, label = beam.option[level, label], beam.parent[level, label]
        level -= 1


@compiled
def _fits(task, plan):  # type: ignore[no-untyped-def]
    """Whether nothing is overloaded; all sums are taken anew before that is believed."""
    return holds(task, plan, 1e3) and _summed(task, plan)


@compiled
def restore(task, plan):  # type: ignore[no-untyped-def]
    """Back to the cheapest feasible plan."""
    task, plan = lent((task, plan))
    for x in range(len(plan.at)):
        i, k = task.row[x], plan.best[x]
        source, target = task.region[i, plan.at[x]], task.region[i, k]
        if source != target:
            unlink(x, source, plan.head, plan.after, plan.before)
            link(x, target, plan.head, plan.after, plan.before)
        for r in range(task.room.shape[1]):
            plan.takes[x, r] = task.use[i, k, r]
        plan.at[x] = k
    _summed(task, plan)


@compiled
def _summed(task, plan):  # type: ignore[no-untyped-def]
    """Take all sums anew; whether nothing is overloaded."""
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
    return holds(task, plan, 1.0)


@compiled
def holds(task, plan, hairs):  # type: ignore[no-untyped-def]
    """Whether no limit is exceeded by more than so many hairs."""
    for b in range(len(plan.spare)):
        if plan.spare[b] < 0:
            return False
    for j in range(len(task.room)):
        for r in range(task.room.shape[1]):
            if plan.free[j, r] < -hairs * task.hair[j, r]:
                return False
    return True
