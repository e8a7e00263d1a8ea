"""Large units placed well: runs of ejection chains, over plans that may overload a little.

Where single units are large beside a region's room, a good plan is one whose units fill every dear
region to the brim, and exchanges between two regions do not find it.  In a chain a unit leaves its
region for another, which may eject one of its own for it, and so on, until the last one takes the
place of the first, or finds room (`ejection` grows them).

The energy is what the plan loses against the duals' bound: its units' reduced cost, and free room
at its dual.  Overload is allowed at a penalty of each region's own, which rises while the region is
overloaded and falls while it is not (Yagiura, Ibaraki and Glover 2004).  With heat, dear chains are
accepted at a falling temperature, and mostly begin with units that are large for it: sizes differ
by orders, and the small ones find their places once the large ones have theirs.  The cheapest plan
without overload is kept, and short runs from it, as hot as chance has it, look for a cheaper one.
"""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from jaxplace.native import spread
from jaxplace.repair.bundles import FREE, bulky, falling, loose, worths
from jaxplace.repair.core import TINY, Core
from jaxplace.repair.ejection import (
    LATE,
    NONE,
    PENALTY,
    Plan,
    Task,
    anneal,
    beam_of,
    begin,
    holds,
    restore,
)


DEPTH, WIDE = 8, 16  # most regions in a chain, and labels kept at each of them
HOT, COLD = 0.7, 0.2  # first and last temperature, in what a typical row minds its second-best
# option; the first is so many times hotter as the largest row is larger than a typical one
HOTTER = 3.0  # after a run without a cheaper plan
EXTRA = 1.5  # of a run, if there still is overload
RUN = 100  # chains begun for each unit in the first run
PATIENCE = 5  # runs in a row without a cheaper plan: the last
MOST_UNITS = 2000  # that may move: of the largest rows
CHUNK, CHUNK_LOOKS = 2048, 1 << 24  # chains between two looks at the clock, and units looked at
LOOKS = 1 << 25  # units looked at in all: half a second or so,
MOST_LOOKS = 1 << 30  # and the most, as long as
GAINED = 0.05  # of what is missing is what the last run brought
FIRST = 1 / 4  # of the most looks in the first run; if few rows of all take part, only LOOKS:
FEW = 1 / 8  # so many
SHORT, NARROW = 4, 4  # DEPTH and WIDE where chains need only make a plan feasible
SETTLING, FEWEST_CHAINS = 3, 1000  # chains begun then for each unit, and in all at least
SETTLE_LOOKS = 1 << 32  # and the most looks;
BUNDLE_LOOKS = 1 << 29  # of bundles of one size
MANY_UNITS = 100_000  # that may move then: where a core has more, none is large
MELTED = 5.0  # times the heat: units whose use is worth less settle later, and chains begin with
FEWEST, OFTEN = 20, 0.75  # the others, so many at least, in most runs; in the rest with any unit
KICK = 5  # chains begun for each unit in a run from the cheapest plan
KICKS, KICK_LOOKS = 100, 1 << 29  # such runs, and looks in them, until GAINED has been gained once,
MOST_KICK_LOOKS = 1 << 34  # then twice as many as there were when it last was, up to so many
LANES = 2  # searches side by side; the same on any machine, so that the plan is
MOST_RUNS = 200  # times as many chains as in the first run: enough where there is little to look at


def search(
    core: Core,
    prices: np.ndarray,
    fees: np.ndarray,
    *,
    seed: int,
    target: float,
    deadline: float,
    watch: Callable[[float], None] = lambda _: None,
) -> None:
    """Make a feasible plan cheaper; it is left as it is if nothing better is found.

    Args:
        core: changed in place, its capacities and budgets hold before and after.
        prices: [m + 1, R] the relaxation's duals [USD per use], 0 at the unplaced option.
        fees: [B] those of the fleet budgets [USD per toll].
        seed: of the order of the chains and of what is accepted.
        target: cost of the core at which the search ends [USD].
        deadline: `time.perf_counter` at which it ends.
        watch: called after each run with what the core costs by then [USD].
    """
    if core.objective() <= target:
        return
    again = core.units.sum() > MOST_UNITS  # fewer take part below, all of them
    while again:
        before = core.objective()
        settle(core, prices, fees, seed=seed, target=target, deadline=deadline)
        left = core.objective() - target
        again = left > 0 and before - core.objective() > GAINED * left
    rows, part = _largest(core, prices)
    if part.units.sum() < 2:
        return
    task, plan = begin(part, prices, fees)
    stay = core.objective() - plan.usd[0]  # what those that do not move cost
    target -= stay
    chains, idle, (hot, cold) = RUN * len(task.row), 0, _temperatures(task)
    few = len(rows) < FEW * len(core.row)
    limit = LOOKS if few else FIRST * MOST_LOOKS
    effort = _Effort(MOST_RUNS * chains, deadline, limit, MOST_LOOKS)
    lanes = [_Lane(task, deepcopy(plan), DEPTH, WIDE, seed + n) for n in range(LANES)]
    while idle < PATIENCE and chains and _best(lanes).usd[1] > target:
        before = _best(lanes).usd[1]
        for lane in lanes:
            lane.begin(HOTTER**idle * hot, cold)
        _run(lanes, effort, chains, target)
        now = min(lane.plan.usd.min() for lane in lanes)
        idle = 0 if _best(lanes).usd[1] < before else idle + 1
        chains = effort.next_run(2 * chains, gained=before - now >= GAINED * (before - target))
        watch(stay + _best(lanes).usd[1])
    if not few and _best(lanes).usd[1] < NONE:
        _kick(lanes, deadline, hot, cold, target, lambda usd: watch(stay + usd))
    _put(core, rows, part.units, task, _best(lanes))


def _kick(
    lanes: list["_Lane"],
    deadline: float,
    hot: float,
    cold: float,
    target: float,
    watch: Callable[[float], None],
) -> None:
    """Short runs, each from the cheapest plan, the first temperature drawn anew, while they pay."""
    task, mark = lanes[0].task, _best(lanes).usd[1]
    effort = _Effort(1 << 62, deadline, MOST_KICK_LOOKS, MOST_KICK_LOOKS)
    done, most, most_looks = 0, KICKS, KICK_LOOKS
    for lane in lanes:
        lane.beam = beam_of(task, SHORT, NARROW)
    while (best := _best(lanes)).usd[1] > target and not effort.over():
        if mark - best.usd[1] >= GAINED * (mark - target):
            mark = best.usd[1]
            most, most_looks = max(KICKS, 2 * done), max(KICK_LOOKS, 2 * effort.looks)
        if done >= most or effort.looks >= most_looks:
            break
        for lane in lanes:
            lane.plan.best[:], lane.plan.usd[1] = best.best, best.usd[1]
            restore(task, lane.plan)
            lane.begin(cold * (hot / cold) ** lane.chance.random(), cold)
        _run(lanes, effort, KICK * len(task.row), target)
        done += len(lanes)
        watch(_best(lanes).usd[1])


def settle(
    core: Core,
    prices: np.ndarray,
    fees: np.ndarray,
    *,
    seed: int,
    deadline: float,
    target: float = -np.inf,
    longer: int = 1,
) -> None:
    """Make a plan feasible that overloads here and there, or nearly so, if units or rows are few.

    Few rows of many units move these in bundles.  A feasible plan becomes cheaper, if anything.

    Chains relieve regions of what is too much, as cheaply as may be and without heat, at penalties
    that rise until they do.  Unlike an auction's prices these know what else a region is short of.

    Args:
        core: changed in place.
        prices: [m + 1, R] the relaxation's duals [USD per use], 0 at the unplaced option.
        fees: [B] those of the fleet budgets [USD per toll].
        seed: of the order of the chains.
        deadline: `time.perf_counter` at which it ends.
        target: cost of the core at which it ends [USD].
        longer: times as many chains as usual.
    """
    units, chains = int(core.units.sum()), SETTLING * longer
    work = partial(_settle, prices=prices, fees=fees, seed=seed)
    if not bulky(len(core.row), units):
        if 1 < units <= MANY_UNITS:
            work(core, deadline=deadline, target=target, chains=chains)
        return
    feasible, worth = core.feasible(), worths(core, prices)
    sizes = list(falling(core, worth))
    for size in sizes if feasible else sizes[::-2]:
        now = time.perf_counter()
        if now > deadline or (feasible and core.objective() <= target):
            break
        part, stay = loose(core, size)
        rest = core.objective() - part.objective()
        ends = now + (deadline - now) / 2  # what comes next needs time as well
        work(
            part,
            deadline=ends,
            target=target - rest,
            chains=chains,
            floor=worth,
            looks=BUNDLE_LOOKS,
        )
        core.units[:] = stay + part.units * size[:, None]
        if not feasible:
            if core.feasible():
                break
            chains = 1  # what was to be gained by single units has been


def _settle(
    core: Core,
    *,
    prices: np.ndarray,
    fees: np.ndarray,
    seed: int,
    deadline: float,
    target: float,
    chains: int,
    floor: np.ndarray | float = 0.0,
    looks: int = SETTLE_LOOKS,
) -> None:
    """`settle` of single units, with so many chains for each, and units looked at in all.

    Penalties go by `floor` [R] where duals are below: where one is 0, overload would gather.
    """
    task, plan = begin(core, prices, fees)
    task = task._replace(base=np.maximum(task.base, floor))
    chains = max(chains * len(task.row), FEWEST_CHAINS)
    effort = _Effort(MOST_RUNS * chains, deadline, looks, looks)
    lane = _Lane(task, plan, SHORT, NARROW, seed)
    lane.begin(0.0, 0.0)
    _run([lane], effort, chains, target)
    _put(core, np.arange(len(core.row)), core.units.copy(), task, plan)


class _Lane:
    """One of the searches side by side: its plan, its chance, and what it grows chains in."""

    def __init__(self, task: Task, plan: Plan, depth: int, wide: int, seed: int) -> None:
        self.task, self.plan, self.beam = task, plan, beam_of(task, depth, wide)
        self.chance = np.random.default_rng(seed)
        size = _sizes(task)[task.row]
        self.order = np.argsort(-size, kind="stable")
        self.falling = -size[self.order]

    def begin(self, hot: float, cold: float) -> None:
        """A run: its temperatures, its penalties, and which units its chains begin with."""
        task, plan, self.hot, self.cold = self.task, self.plan, hot, cold
        self.melted = MELTED if self.chance.random() < OFTEN else 0.0
        plan.penalty[:], plan.levy[:] = PENALTY * task.base, PENALTY * task.fee_base

    def anneal(self, turn: np.ndarray, chains: int, every: int) -> int:
        """Some of a run's chains; how many units were looked at."""
        heat = np.zeros(len(turn))
        if self.hot > 0:
            heat = self.hot * (self.cold / self.hot) ** np.minimum(turn / (LATE * chains), 1.0)
        bars = heat * self.chance.exponential(size=len(turn))
        solid = int(np.searchsorted(self.falling, -self.melted * heat[0], side="right"))
        solid = min(max(solid, FEWEST), len(self.order))
        picks = self.order[self.chance.integers(solid, size=len(turn))]
        return anneal(self.task, self.plan, self.beam, picks, bars, turn[0], chains, every)


def _best(lanes: list[_Lane]) -> Plan:
    """The plan of the lane that found the cheapest feasible one."""
    return min((lane.plan for lane in lanes), key=lambda plan: plan.usd[1])


def _run(lanes: list[_Lane], effort: "_Effort", chains: int, target: float) -> None:
    """So many chains in each lane, or fewer if they take too long; on until overloads have gone.

    Lanes wait for each other now and then, so that what they find does not depend on the clock.
    """
    task, first = lanes[0].task, 0
    units = len(task.row)
    every = max(units // 10, 1)
    size = int(np.clip(CHUNK_LOOKS // (lanes[0].beam.unit.size * units), 1, CHUNK))
    while _best(lanes).usd[1] > target and not effort.over():
        clear = all(holds(task, lane.plan, 1.0) for lane in lanes)
        if first >= (chains if clear else EXTRA * chains):
            break
        turn = np.arange(first, first + min(size, max(chains - first, every)))
        some = partial(_some, lanes, turn, chains, every)
        looks = max(spread(some, len(lanes), chunks=len(lanes)))
        first += len(turn)
        chains = first + effort.rest(len(turn), looks, chains - first)


def _some(lanes: list[_Lane], turn: np.ndarray, chains: int, every: int, n: int, _: int) -> int:
    """Some of the chains of one lane."""
    return lanes[n].anneal(turn, chains, every)


def _sizes(task: Task) -> np.ndarray:
    """[c] What a unit of each row uses is worth at an option of it, in the mean [USD]."""
    known = np.isfinite(task.cost)
    return np.einsum("ckr,ckr->c", task.use, task.base[task.region]) / known.sum(1)


def _temperatures(task: Task) -> tuple[float, float]:
    """The first and the last of a run [USD]."""
    each = np.arange(len(task.asks))[:, None]
    minds = np.diff(task.asks[each, task.near[:, :2]], axis=1)
    minds = minds[np.isfinite(minds) & (minds > 0)]
    typical = float(np.median(minds)) if len(minds) else TINY
    takes = _sizes(task)
    spread = float(takes.max() / max(np.median(takes), TINY * takes.max(), 1e-300))
    return HOT * typical * spread, COLD * typical


def _put(core: Core, rows: np.ndarray, movable: np.ndarray, task: Task, plan: Plan) -> None:
    """The units of some rows where the cheapest feasible plan has them, or the last one."""
    core.units[rows] -= movable
    np.add.at(core.units, (rows[task.row], plan.best if plan.usd[1] < NONE else plan.at), 1)


def _largest(core: Core, prices: np.ndarray) -> tuple[np.ndarray, Core]:
    """Rows, and a core of those of their units that may move, over what all others leave.

    The others are units of small rows, which shifts and exchanges place as well, and most of many
    that are alike.
    """
    movable = np.minimum(core.units, FREE).sum(1)
    worth = np.einsum("ckr,ckr->ck", core.use, prices[core.region]).max(1)
    order = np.argsort(-worth, kind="stable")
    rows = np.sort(order[np.cumsum(movable[order]) <= MOST_UNITS])
    return rows, loose(core, np.ones(len(movable), np.int64), rows)[0]


@dataclass
class _Effort:
    """How long the runs are: each twice as long as the last, and the last as long as may be."""

    most: int  # chains in all
    deadline: float
    limit: float  # looks up to which a run may go,
    end: float  # and all of them
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
        return self.looks >= self.end or time.perf_counter() > self.deadline
