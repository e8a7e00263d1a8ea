"""From the relaxed plan to whole units: decided rows at once, the core by dependent rounding."""

import dataclasses
import time
from dataclasses import dataclass

import numpy as np

from jaxplace.instance import NOWHERE, Instance
from jaxplace.native import stable_order
from jaxplace.placement import Assignment
from jaxplace.problem import Compiled, Problem
from jaxplace.relax.anneal import Relaxation, precise, reanneal
from jaxplace.relax.ascent import AbstractAscent
from jaxplace.relax.sampling import sample
from jaxplace.repair.auction import clear_overloads
from jaxplace.repair.bundles import bulky
from jaxplace.repair.chains import MANY_UNITS, settle
from jaxplace.repair.core import Core, join
from jaxplace.rounding.decide import (
    WINDOW,
    among,
    asked,
    drawn,
    fixed,
    helpers,
    lead,
    nearest,
    undecided,
)
from jaxplace.rounding.options import Options, fees_of, prices_of, wanted


FEWEST_ROWS = 32_768  # of a core
RISE = 8.0  # of a temperature: least rise of a price in the auctions between
SETTLE_ROWS = 8192  # that the duals settle on again while it is hot,
PER_REGION = 32  # or so many for each region, if these are more: many duals settle slowly
STEPS, MORE_STEPS = 10, 15  # of the ascent at one temperature, and with many duals
HEATS, MORE_HEATS = (16.0, 1.0), (16.0, 4.0, 1.0)  # temperatures where they settle, the same
SETTLED = 2e-5  # of the bound: what the value may still rise by
STEP, STAGES = 4.0, 6  # rows are rounded by size, so many times smaller each stage
COARSE_ROWS, COARSE_PER_REGION = 65_536, 64  # of a core, above which stages are few and wide,
FEW = 1 / 16  # and one with fewer of the rows than this is none
THIN_REGIONS = 512  # from which on duals of few rows for each settle slowly, and not well
LEVEL = 0.02  # violation of the relaxed plan up to which chains, then, make all rows fit
QUICK_ROWS = 8192  # of a plan that need only be good enough at once


@dataclass(frozen=True)
class Rounded:
    """A plan of whole units: decided rows, and a core that repair may still change.

    Attributes:
        instance: what is placed.
        region: [n] int32 region of each decided row, -1 unplaced; core rows' entries are unused.
        core: the undecided rows.
        prices: [m + 1, R] duals [USD per use], 0 at the unplaced option.
        fees: [B] duals of the fleet budgets that are set [USD per toll].
        decided_usd: cost of the decided rows.
    """

    instance: Instance
    region: np.ndarray
    core: Core
    prices: np.ndarray
    fees: np.ndarray
    decided_usd: float

    def objective(self) -> float:
        """Cost of the plan [USD]."""
        return self.decided_usd + self.core.objective()

    def assignment(self) -> Assignment:
        """All units as flows, sorted by row and region."""
        row = np.nonzero(~among(self.core.row, len(self.region)))[0]
        i, k = np.nonzero(self.core.units)
        there = self.core.region[i, k]
        there = np.where(there == len(self.core.room) - 1, NOWHERE, there)
        first = np.argsort(there, kind="stable")
        i, k, there = i[first], k[first], there[first]
        rows = np.concatenate([row, self.core.row[i]])
        regions = np.concatenate([self.region[row], there]).astype(np.int32)
        counts = np.concatenate([self.instance.count[row], self.core.units[i, k]])
        order = stable_order(rows, len(self.region))
        return Assignment(rows[order], regions[order], counts[order])


def round_plan(
    compiled: Compiled,
    relaxation: Relaxation,
    ascent: AbstractAscent,
    *,
    candidates: int,
    seed: int,
    target: float = -np.inf,
    deadline: float = np.inf,
    longer: int = 1,
    quick: bool = False,
) -> Rounded:
    """Whole units from the relaxed plan, the largest first.

    A large unit that lands on one side or the other leaves a region far from what the relaxed
    plan had; so the rows are rounded, and made to fit, by falling size, and after each size the
    duals settle again for the smaller ones, which make up for it.  That takes long over many
    regions, and does not find room that has enough of several resources: there all rows are
    rounded at once, and ejection chains make them fit.

    Args:
        compiled: the problem.
        relaxation: its duals and temperature.
        ascent: the method that settles the duals.
        candidates: regions kept per undecided row.
        seed: of the one random offset, and of the order of chains.
        target: cost at which chains end [USD].
        deadline: `time.perf_counter` at which chains end, and all rows left are rounded at once.
        longer: times as many chains as usual.
        quick: fewer rows, and all sizes at once if the core is not large: several times faster, and
            worse where single units are large beside a region.
    """
    stages, fewest = STAGES, QUICK_ROWS if quick else FEWEST_ROWS
    problem, instance = compiled.problem, compiled.pairs.instance
    first, margin = lead(compiled, relaxation.point)
    margin = margin / relaxation.temperature
    near = nearest(problem, margin, fewest)
    index = np.nonzero(near)[0]
    units = instance.count[compiled.order[index]].sum()
    several = instance.use.shape[1] > 1
    bulk = several and not quick and bulky(len(index), units)
    if bulk:  # hundreds of units more or less of a row: shares must be right
        relaxation = precise(problem, relaxation, ascent)
    level = not quick and longer == 1 and relaxation.violation <= LEVEL
    fits = several or (level and _thin(problem, index))
    chained = bulk or (fits and units <= MANY_UNITS)
    if chained or (quick and not _coarse(problem, index)):
        stages = 1
    kept = min(wanted(problem, relaxation, index, candidates), instance.regions)
    options = Options(compiled, kept, seed)
    prices, fees = prices_of(compiled, relaxation), fees_of(compiled, relaxation)
    hair = RISE * relaxation.temperature * problem.scaling.cost
    budgets = np.isfinite(problem.budgets)
    left = _under_the_sky(instance.capacity), problem.budgets[budgets]
    parts = []
    largest, *smaller = by_size(problem, index, stages)
    if smaller:  # near what the relaxed plan has of them; all others make room
        part, asks, share = options.round(relaxation, largest)
        before, most = part.units.copy(), part.use.max((0, 1))
        part.room = np.minimum(left[0], part.load(share) + most)
        clear_overloads(part, prices, rise=hair)
        asks = np.where(np.isfinite(asks), asks, 0.0)
        far = ((part.units - before) * asks > WINDOW).any(1)  # dearer than that others make room
        far |= part.units[:, -1] > before[:, -1]  # where that costs nothing, nobody fills the gap
        part.units[far], part.room = before[far], left[0]
        clear_overloads(part, prices, rise=hair)
        parts, left = [part], _less(left, part)

    beside = np.nonzero((margin <= WINDOW) & ~near)[0]
    if len(beside):  # too many for a core, but not to be decided all alike
        first = first.copy()
        first[beside] = drawn(problem, relaxation, beside, seed)
    spared = asked(compiled, relaxation, np.concatenate(smaller)) if smaller else 0.0
    index = undecided(compiled, first, margin, near, left[0][:-1] - spared)
    load, toll, cost = fixed(compiled, first, ~among(index, problem.size))
    left = left[0] - _padded(load), left[1] - toll[budgets]

    if parts:
        index = np.setdiff1d(index, largest)
    groups = by_size(problem, index, max(stages - len(parts), 1))
    if len(groups) > 1 and _coarse(problem, index) and len(groups[0]) < FEW * len(index):
        groups = [np.concatenate(groups[:2]), *groups[2:]]  # too few to settle the duals for
    while groups:
        rest = np.concatenate(groups)
        if time.perf_counter() > deadline:
            groups = [rest]
        elif parts:
            relaxation = _resettle(problem, relaxation, ascent, rest, left)
        group = groups.pop(0)
        part, *_ = options.round(relaxation, group)
        part.room, part.purse = left
        if chained:
            settle(
                part,
                prices,
                fees,
                seed=seed,
                target=target - cost,
                deadline=deadline,
                longer=longer,
            )
        clear_overloads(part, prices_of(compiled, relaxation), rise=hair)
        parts.append(part)
        left = _less(left, part)
    core = np.concatenate([largest, index]) if smaller else index
    helping = helpers(compiled, first, margin, core, parts)
    if len(helping):
        fewer = fixed(compiled, first, among(helping, problem.size))
        load, toll, cost = load - fewer[0], toll - fewer[1], cost - fewer[2]
        part, *_ = options.round(relaxation, helping)
        part.room = left[0] + _padded(fewer[0])
        clear_overloads(part, prices_of(compiled, relaxation), rise=hair)
        parts.append(part)
    region = np.empty(instance.rows, np.int32)
    region[compiled.order] = first
    room, purse = _under_the_sky(instance.capacity - load), (problem.budgets - toll)[budgets]
    return Rounded(instance, region, join(parts, room, purse), prices, fees, cost)


def _under_the_sky(room: np.ndarray) -> np.ndarray:
    """[m + 1, R] room of regions, and of the unplaced option, which is never full."""
    return np.vstack([room, np.full((1, room.shape[1]), np.inf)])


def _padded(load: np.ndarray) -> np.ndarray:
    """[m + 1, R] load, nothing at the unplaced option."""
    return np.vstack([load, np.zeros((1, load.shape[1]))])


def _less(left: tuple[np.ndarray, np.ndarray], part: Core) -> tuple[np.ndarray, np.ndarray]:
    """Room [m + 1, R] and budgets [B] without what a core takes."""
    part.room = left[0]
    return part.free(), left[1] - np.tensordot(part.units, part.toll, 2)


def _coarse(problem: Problem, index: np.ndarray) -> bool:
    """Whether rows are so many that they make up for each other: duals may settle less often."""
    return len(index) > max(COARSE_ROWS, COARSE_PER_REGION * problem.regions)


def _thin(problem: Problem, index: np.ndarray) -> bool:
    """Whether most rows are in the core, and settling the duals after each stage takes long."""
    return problem.regions > THIN_REGIONS and 2 * len(index) > problem.size


def by_size(problem: Problem, index: np.ndarray, stages: int) -> list[np.ndarray]:
    """Problem rows in groups of falling size of a unit, a factor of STEP each."""
    size = problem.scale[index]
    if not len(index):
        return [index]
    wide = 1 + int(_coarse(problem, index))
    level = np.floor(np.log(size.max() / size) / np.log(STEP**wide)).astype(int)
    stages = max(stages // wide, 1)
    level = np.minimum(level, stages - 1)
    groups = [index[level == s] for s in range(stages)]
    return [g for g in groups if len(g)]


def _resettle(
    problem: Problem,
    relaxation: Relaxation,
    ascent: AbstractAscent,
    rest: np.ndarray,
    left: tuple[np.ndarray, np.ndarray],
) -> Relaxation:
    """The relaxation of the rows that are still to be rounded, over what is left."""
    limit = np.zeros_like(problem.limit)
    limit[: problem.regions] = np.maximum(left[0][:-1], 0.0) / problem.scaling.use
    budgets = problem.budgets.copy()
    budgets[np.isfinite(budgets)] = np.maximum(left[1], 0.0)
    problem = part = dataclasses.replace(problem.take(rest), limit=limit, budgets=budgets)
    few = max(SETTLE_ROWS, PER_REGION * problem.regions)
    many = few > SETTLE_ROWS
    if len(rest) > few:
        weight = problem.weight
        drawn, boost = sample(weight * problem.scale, few, np.random.default_rng(len(rest)))
        part = problem.take(drawn, weight[drawn] * boost)
    return reanneal(
        problem,
        part,
        relaxation,
        ascent,
        heats=MORE_HEATS if many else HEATS,
        max_steps=MORE_STEPS if many else STEPS,
        worth=SETTLED * abs(relaxation.bound),
    )
