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
from dataclasses import dataclass, field, replace

import numpy as np

from jaxplace.repair.core import TINY, Core
from jaxplace.repair.ejection import (
    LATE,
    NONE,
    PENALTY,
    Beam,
    Plan,
    Task,
    anneal,
    beam_of,
    begin,
    holds,
    restore,
)


FREE = 4  # units of a row at an option that may move; the others stay
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
SETTLE_LOOKS = 1 << 32  # and the most looks
MANY_UNITS = 100_000  # that may move then: where a core has more, none is large
MELTED = 5.0  # times the heat: units whose use is worth less settle later, and chains begin with
FEWEST, OFTEN = 20, 0.75  # the others, so many at least, in most runs; in the rest with any unit
KICK = 5  # chains begun for each unit in a run from the cheapest plan
KICKS, KICK_LOOKS = 100, 1 << 29  # such runs, and looks in them, until GAINED has been gained once,
MOST_KICK_LOOKS = 1 << 34  # then twice as many as there were when it last was, up to so many
MOST_RUNS = 200  # times as many chains as in the first run: enough where there is little to look at


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
    target -= core.objective() - plan.usd[0]  # what those that stay cost
    chains, idle, (hot, cold) = RUN * len(task.row), 0, _temperatures(task)
    few = len(rows) < FEW * len(core.row)
    limit = LOOKS if few else FIRST * MOST_LOOKS
    effort = _Effort(MOST_RUNS * chains, deadline, limit, MOST_LOOKS)
    runs = _Runs(task, plan, beam_of(task, DEPTH, WIDE), effort, seed)
    while idle < PATIENCE and chains and plan.usd[1] > target:
        before = plan.usd[1]
        runs.run(chains, HOTTER**idle * hot, cold, target)
        idle = 0 if plan.usd[1] < before else idle + 1
        gained = before - plan.usd.min() >= GAINED * (before - target)
        chains = effort.next_run(2 * chains, gained=gained)
    if not few and plan.usd[1] < NONE:
        _kick(runs, hot, cold, target)
    _put(core, rows, part.units, task, plan)


def _kick(runs: "_Runs", hot: float, cold: float, target: float) -> None:
    """Short runs, each from the cheapest plan, the first temperature drawn anew, while they pay."""
    task, plan = runs.task, runs.plan
    runs.beam = beam_of(task, SHORT, NARROW)
    effort = _Effort(1 << 62, runs.effort.deadline, MOST_KICK_LOOKS, MOST_KICK_LOOKS)
    runs.effort, mark = effort, plan.usd[1]
    done, most, most_looks = 0, KICKS, KICK_LOOKS
    while plan.usd[1] > target and not effort.over() and done < most and effort.looks < most_looks:
        restore(task, plan)
        warm = cold * (hot / cold) ** runs.chance.random()
        runs.run(KICK * len(task.row), warm, cold, target)
        done += 1
        if mark - plan.usd[1] >= GAINED * (mark - target):
            mark = plan.usd[1]
            most, most_looks = max(KICKS, 2 * done), max(KICK_LOOKS, 2 * effort.looks)


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
    """Make a plan feasible that overloads here and there, or nearly so, if its units are few.

    One that is feasible becomes cheaper, if anything.

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
    if not 1 < core.units.sum() <= MANY_UNITS:
        return
    task, plan = begin(core, prices, fees)
    chains = max(SETTLING * longer * len(task.row), FEWEST_CHAINS)
    effort = _Effort(MOST_RUNS * chains, deadline, SETTLE_LOOKS, SETTLE_LOOKS)
    _Runs(task, plan, beam_of(task, SHORT, NARROW), effort, seed).run(chains, 0.0, 0.0, target)
    _put(core, np.arange(len(core.row)), core.units.copy(), task, plan)


@dataclass
class _Runs:
    """What the runs of a search share."""

    task: Task
    plan: Plan
    beam: Beam
    effort: "_Effort"
    seed: int

    def __post_init__(self) -> None:
        self.chance = np.random.default_rng(self.seed)
        size = _sizes(self.task)[self.task.row]
        self.order = np.argsort(-size, kind="stable")
        self.falling = -size[self.order]

    def run(self, chains: int, hot: float, cold: float, target: float) -> None:
        """Begin so many chains, or fewer if they take too long; on until overloads have gone."""
        task, plan, beam, effort, first = self.task, self.plan, self.beam, self.effort, 0
        units = len(task.row)
        every = max(units // 10, 1)
        melted = MELTED if self.chance.random() < OFTEN else 0.0
        size = int(np.clip(CHUNK_LOOKS // (beam.unit.size * units), 1, CHUNK))
        plan.penalty[:], plan.levy[:] = PENALTY * task.base, PENALTY * task.fee_base
        while plan.usd[1] > target and not effort.over():
            if first >= (chains if holds(task, plan, 1.0) else EXTRA * chains):
                break
            turn = np.arange(first, first + min(size, max(chains - first, every)))
            heat = np.zeros(len(turn))
            if hot > 0:
                heat = hot * (cold / hot) ** np.minimum(turn / (LATE * chains), 1.0)
            bars = heat * self.chance.exponential(size=len(turn))
            solid = int(np.searchsorted(self.falling, -melted * heat[0], side="right"))
            solid = min(max(solid, FEWEST), units)
            picks = self.order[self.chance.integers(solid, size=len(turn))]
            looks = anneal(task, plan, beam, picks, bars, first, chains, every)
            first += len(turn)
            chains = first + effort.rest(len(turn), looks, chains - first)


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


def _put(core: Core, rows: np.ndarray, loose: np.ndarray, task: Task, plan: Plan) -> None:
    """The units of some rows where the cheapest feasible plan has them, or the last one."""
    core.units[rows] -= loose
    np.add.at(core.units, (rows[task.row], plan.best if plan.usd[1] < NONE else plan.at), 1)


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
