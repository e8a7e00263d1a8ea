"""From the relaxed plan to whole units: decided rows at once, the core by dependent rounding."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxplace.instance import NOWHERE, Instance
from jaxplace.kernels import api as kernels
from jaxplace.placement import Assignment
from jaxplace.problem import Compiled, Duals, Pairs, Problem
from jaxplace.relax.anneal import Relaxation, reanneal
from jaxplace.relax.ascent import AbstractAscent, Constraints, respond
from jaxplace.relax.sampling import sample
from jaxplace.repair.auction import clear_overloads
from jaxplace.repair.core import Core, join, prefix


WINDOW = 12.0  # temperatures within which the second-best option makes a row undecided
FEWEST_ROWS, MOST_ROWS = 32_768, 300_000  # of a core
DRAWN_FROM = 8  # options of a row near a tie that is in no core
RISE = 0.3  # of a temperature: least rise of a price in the auctions between
SETTLE_ROWS = 32_768  # that the duals settle on again while it is hot
STEPS = 10  # of the ascent at one temperature
SETTLED = 2e-5  # of the bound: what the value may still rise by
MOST_OPTIONS = 4_000_000  # rows times options that are kept
ALL_OPTIONS = 200_000  # pairs up to which every region is an option
SPARE_OPTIONS = 4.0  # options kept for each one that the most spread rows use
ESCAPES = 2  # options kept beside them: the cheapest regions whose capacity has no price
CLOSED = 1e25  # a dual that nobody pays
STEP, STAGES = 4.0, 6  # rows are rounded by size, so many times smaller each stage
COARSE_ROWS = 65_536  # of a core, above which the stages are fewer and wider
QUICK_STAGES, QUICK_ROWS = 1, 8192  # of a plan that need only be good enough at once
GOLDEN = 0.6180339887498949  # spreads draws evenly whatever their number (Weyl sequence)


@dataclass(frozen=True)
class Rounded:
    """A plan of whole units: decided rows, and a core that repair may still change.

    Attributes:
        instance: what is placed.
        region: [n] int32 region of each decided row, -1 unplaced; core rows' entries are unused.
        core: the undecided rows.
        prices: [m + 1, R] duals [USD per use], 0 at the unplaced option.
        decided_usd: cost of the decided rows.
    """

    instance: Instance
    region: np.ndarray
    core: Core
    prices: np.ndarray
    decided_usd: float

    @property
    def coarse(self) -> bool:
        """Whether the core is so large that a search of it costs more than the relaxation."""
        return len(self.core.row) > COARSE_ROWS

    def objective(self) -> float:
        """Cost of the plan [USD]."""
        return self.decided_usd + self.core.objective()

    def assignment(self) -> Assignment:
        """All units as flows, sorted by row and region."""
        row = _others(self.core.row, len(self.region))
        i, k = np.nonzero(self.core.units)
        there = self.core.region[i, k]
        there = np.where(there == len(self.core.room) - 1, NOWHERE, there)
        rows = np.concatenate([row, self.core.row[i]])
        regions = np.concatenate([self.region[row], there]).astype(np.int32)
        counts = np.concatenate([self.instance.count[row], self.core.units[i, k]])
        order = np.lexsort((regions, rows))
        return Assignment(rows[order], regions[order], counts[order])


def round_plan(
    compiled: Compiled,
    relaxation: Relaxation,
    ascent: AbstractAscent,
    *,
    candidates: int,
    seed: int,
    quick: bool = False,
) -> Rounded:
    """Whole units from the relaxed plan, the largest first.

    A large unit that lands on one side or the other leaves a region far from what the relaxed
    plan had; so the rows are rounded, and made to fit, by falling size, and after each size the
    duals settle again for the smaller ones, which make up for it.

    Args:
        compiled: the problem.
        relaxation: its duals and temperature.
        ascent: the method that settles the duals.
        candidates: regions kept per undecided row.
        seed: of the one random offset.
        quick: all sizes at once, and fewer rows: several times faster, and worse where single
            units are large beside a region.
    """
    stages, fewest = (QUICK_STAGES, QUICK_ROWS) if quick else (STAGES, FEWEST_ROWS)
    problem, instance = compiled.problem, compiled.pairs.instance
    first, margin = lead(compiled, relaxation.point)
    margin = margin / relaxation.temperature
    near = _nearest(problem, margin, fewest)
    beside = np.nonzero((margin <= WINDOW) & ~near)[0]
    if len(beside):  # too many for a core, but not to be decided all alike
        first = first.copy()
        first[beside] = _drawn(problem, relaxation, beside, seed)
    index = _undecided(compiled, first, margin, near)
    region = np.empty(instance.rows, np.int32)
    region[compiled.order] = first
    decided = _others(compiled.order[index], instance.rows)
    where, count = region[decided], instance.count[decided]
    on = where >= 0
    room = instance.capacity - _load(compiled, decided, where, count)
    room = np.vstack([room, np.full((1, room.shape[1]), np.inf)])
    budgets = np.isfinite(problem.budgets)
    toll = compiled.pairs.budget_use(decided, where) * (on * count)[:, None]
    purse = (problem.budgets - toll.sum(0))[budgets]
    cost = np.where(on, compiled.pairs.cost(decided, where), instance.unplaced[decided])

    kept = min(_wanted(problem, relaxation, index, candidates), instance.regions)
    options = _Options(compiled, kept, seed)
    prices = _prices(compiled, relaxation)
    parts, left = [], (room, purse)
    for stage, group in enumerate(groups := _by_size(problem, index, stages)):
        part = options.round(relaxation, group)
        part.room = left[0]
        hair = relaxation.temperature * problem.scaling.cost
        clear_overloads(part, _prices(compiled, relaxation), rise=RISE * hair)
        parts.append(part)
        left = part.free(), left[1] - np.tensordot(part.units, part.toll, 2)
        if stage + 1 < len(groups):
            rest = np.concatenate(groups[stage + 1 :])
            relaxation = _resettle(problem, relaxation, ascent, rest, left)
    core = join(parts, room, purse)
    return Rounded(instance, region, core, prices, float(cost @ count))


def _by_size(problem: Problem, index: np.ndarray, stages: int) -> list[np.ndarray]:
    """Problem rows in groups of falling size of a unit, a factor of STEP each."""
    size = np.asarray(problem.rows.scale)[index]
    if not len(index):
        return [index]
    # many rows make up for each other; the duals need to settle less often
    wide = 1 + int(len(index) > COARSE_ROWS)
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
    if len(rest) > SETTLE_ROWS:
        weight, scale = (
            np.asarray(values, np.float64)[: len(rest)]
            for values in (problem.rows.weight, problem.rows.scale)
        )
        drawn, boost = sample(weight * scale, SETTLE_ROWS, np.random.default_rng(len(rest)))
        part = problem.take(drawn, weight[drawn] * boost)
    worth = SETTLED * abs(relaxation.bound)
    return reanneal(problem, part, relaxation, ascent, max_steps=STEPS, worth=worth)


@dataclass(frozen=True)
class _Options:
    """Makes cores of problem rows: their options, and units near the relaxed plan's shares."""

    compiled: Compiled
    candidates: int
    seed: int

    def round(self, relaxation: Relaxation, index: np.ndarray) -> Core:
        """A core of some rows."""
        core, asked = _core(self.compiled, relaxation, index, self.candidates)
        spread = relaxation.temperature * self.compiled.problem.scaling.cost
        scale = np.asarray(self.compiled.problem.rows.scale, np.float64)[index]
        count = self.compiled.pairs.instance.count[core.row]
        asked = asked / (spread * scale)[:, None]
        share = np.exp(asked.min(1, keepdims=True) - asked)
        want = share / share.sum(1, keepdims=True) * count[:, None]
        nearest = np.tile(np.minimum([0, 1], want.shape[1] - 1), (len(want), 1))
        core.units[:] = systematic(want, core.region, nearest, self.seed)
        return core


def _others(rows: np.ndarray, size: int) -> np.ndarray:
    """The rows that are not among `rows`."""
    rest = np.ones(size, bool)
    rest[rows] = False
    return np.nonzero(rest)[0]


def _load(compiled: Compiled, row: np.ndarray, region: np.ndarray, count: np.ndarray) -> np.ndarray:
    """[m, R] use of rows of the instance at their regions; -1 takes nothing."""
    on = region >= 0
    use = compiled.pairs.use(row[on], region[on]) * count[on, None]
    size = compiled.pairs.instance.regions
    return np.stack([np.bincount(region[on], u, size) for u in use.T], 1)


def lead(compiled: Compiled, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best option of each problem row (-1: unplaced), and its scaled lead over the next per use."""
    problem = compiled.problem
    region, reduced = kernels.best_regions(problem, Constraints.of(problem).duals(point), k=2)
    first, margin = _lead(region, reduced, problem.rows.unplaced, problem.rows.scale)
    return np.asarray(first)[: problem.size], np.asarray(margin)[: problem.size]


@jax.jit
def _lead(
    region: jax.Array, reduced: jax.Array, out: jax.Array, scale: jax.Array
) -> tuple[jax.Array, jax.Array]:
    left_out = out < reduced[:, 0]
    best = jnp.minimum(reduced[:, 0], out)
    second = jnp.where(left_out, reduced[:, 0], jnp.minimum(reduced[:, 1], out))
    return jnp.where(left_out, NOWHERE, region[:, 0]), (second - best) / scale


def _nearest(problem: Problem, margin: np.ndarray, fewest: int) -> np.ndarray:
    """[n] bool: rows of the core, those near a tie; if too many, the largest and the nearest."""
    near = margin <= WINDOW
    size = int(np.clip(near.sum(), fewest, MOST_ROWS))
    if size >= len(margin):
        return np.ones(len(margin), bool)
    if near.sum() > size:  # the small rows that are left out are drawn, and their errors cancel
        scale = np.where(near, np.asarray(problem.rows.scale)[: len(margin)], 0.0)
        large = np.argpartition(-scale, size // 2)[: size // 2]
        near[:] = False
        near[large] = True
        margin = np.where(near, np.inf, margin)
        size -= len(large)
    else:
        near[:] = False
    near[np.argpartition(margin, size)[:size]] = True
    return near


def _drawn(problem: Problem, relaxation: Relaxation, index: np.ndarray, seed: int) -> np.ndarray:
    """An option of each of some rows (-1: unplaced), all its units there, as often as its share."""
    part, duals = problem.take(index), Constraints.of(problem).duals(relaxation.point)
    region, reduced = _best(part, duals, min(DRAWN_FROM, problem.regions))
    rows = part.rows
    out, scale = (np.asarray(values)[: part.size, None] for values in (rows.unplaced, rows.scale))
    region = np.hstack([region, np.full((len(index), 1), NOWHERE)])
    asked = np.hstack([reduced, out]) / (relaxation.temperature * scale)
    share = np.exp(asked.min(1, keepdims=True) - asked, dtype=np.float64)
    share /= share.sum(1, keepdims=True)
    likely = np.tile(np.minimum([0, 1], problem.regions), (len(index), 1))
    drawn = systematic(share, region, likely, seed).argmax(1)
    return np.take_along_axis(region, drawn[:, None], 1)[:, 0]


def _undecided(
    compiled: Compiled, first: np.ndarray, margin: np.ndarray, near: np.ndarray
) -> np.ndarray:
    """Problem rows of the core: those near a tie, and whatever overloads a region by itself."""
    instance, near = compiled.pairs.instance, near.copy()
    rest = np.nonzero(~near & (first >= 0))[0]
    row, region = compiled.order[rest], first[rest]
    load = _load(compiled, row, region, instance.count[row])
    full = np.asarray((load > instance.capacity).any(axis=1))
    if full.any():  # the most certain rows stay, as far as they fit
        held = rest[full[region]]
        held = held[np.lexsort((-margin[held], first[held]))]
        row, region = compiled.order[held], first[held]
        use = compiled.pairs.use(row, region) * instance.count[row, None]
        over = (prefix(region, use) + use > instance.capacity[region]).any(1)
        near[held[over]] = True
    return np.nonzero(near)[0]


def _core(
    compiled: Compiled, relaxation: Relaxation, index: np.ndarray, candidates: int
) -> tuple[Core, np.ndarray]:
    """The core of some problem rows, without units yet; and what each option asks for [c, K]."""
    of = Constraints.of(compiled.problem)
    problem, instance = compiled.problem, compiled.pairs.instance
    region, reduced = _cheapest(problem, of, relaxation, index, candidates)
    outside = np.full((len(index), 1), instance.regions, np.int32)
    region = np.hstack([np.where(np.isfinite(reduced), region, instance.regions), outside])
    asks = relaxation.point[problem.limit.size :] * problem.scaling.cost
    core = laid_out(
        compiled.pairs, compiled.order[index], region, np.isfinite(problem.budgets), asks
    )
    prices = _prices(compiled, relaxation)
    return core, core.guide + np.einsum("ckr,ckr->ck", core.use, prices[core.region])


def laid_out(
    pairs: Pairs, row: np.ndarray, region: np.ndarray, budgets: np.ndarray, asks: np.ndarray
) -> Core:
    """A core with these options, without units, room or purse yet.

    Args:
        pairs: of the instance.
        row: [c] its rows.
        region: [c, K] options; m where one is only padding, and for the last one, "unplaced".
        budgets: [2] bool, which of the fleet budgets are set.
        asks: [B] their duals [USD].
    """
    instance, column = pairs.instance, row[:, None]
    known = region < instance.regions
    inside = np.where(known, region, 0)
    cost = np.where(known, pairs.cost(column, inside), np.inf)
    cost[:, -1] = instance.unplaced[row]
    toll = np.where(known[..., None], pairs.budget_use(column, inside)[..., budgets], 0.0)
    return Core(
        row=row,
        region=region,
        cost=cost,
        use=np.where(known[..., None], pairs.use(column, inside), 0.0),
        toll=toll,
        guide=cost + toll @ asks,
        units=np.zeros(region.shape, np.int64),
        room=np.empty(0),
        purse=np.empty(0),
    )


def _cheapest(
    problem: Problem, of: Constraints, relaxation: Relaxation, index: np.ndarray, candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Regions [c, K] with the least reduced costs, in rising order, and those costs.

    K is `candidates`, and a few regions with idle capacity.
    """
    part, duals = problem.take(index), of.duals(relaxation.point)
    near, value = _best(part, duals, candidates)
    priced = np.asarray((np.asarray(duals.capacity) > 0).any(axis=1))
    if not priced[: problem.regions].all():  # somewhere to go when all the near ones are full
        closed = np.where(priced[:, None], np.float32(CLOSED), np.asarray(duals.capacity))
        far, least = _best(part, duals._replace(capacity=closed), ESCAPES)
        again = (far[:, :, None] == near[:, None]).any(2)
        near = np.hstack([near, far])
        value = np.hstack([value, np.where(again, np.inf, least)])
    order = np.lexsort((near, value), axis=1)
    return np.take_along_axis(near, order, 1), np.take_along_axis(value, order, 1)


def _best(problem: Problem, duals: Duals, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`kernels.best_regions` of the rows that are not padding; inf at closed regions."""
    region, reduced = kernels.best_regions(problem, duals, k=k)
    region, reduced = np.asarray(region)[: problem.size], np.asarray(reduced)[: problem.size]
    return region, np.where(reduced < CLOSED / 1e10, reduced, np.inf)


def _wanted(problem: Problem, relaxation: Relaxation, index: np.ndarray, least: int) -> int:
    """Options to keep per row: enough for the rows that the relaxed plan spreads most."""
    if not len(index):
        return least
    if len(index) * problem.regions <= ALL_OPTIONS:
        return problem.regions
    part = problem.take(index)
    of = Constraints.of(problem)
    doubt = respond(part, of, relaxation.point, relaxation.temperature).doubt
    spread = 1.0 / np.maximum(1.0 - np.asarray(doubt)[: len(index)], 1e-6)
    wanted = int(np.ceil(SPARE_OPTIONS * np.quantile(spread, 0.999)))
    most = max(MOST_OPTIONS // len(index), least)
    return int(np.clip(wanted, least, most))


def _prices(compiled: Compiled, relaxation: Relaxation) -> np.ndarray:
    """[m + 1, R] capacity duals in USD per unit of use, 0 at the unplaced option."""
    problem = compiled.problem
    scaled = relaxation.point[: problem.limit.size].reshape(problem.limit.shape)
    prices = problem.scaling.duals(scaled[: problem.regions])
    return np.vstack([prices, np.zeros((1, prices.shape[1]))])


def systematic(want: np.ndarray, region: np.ndarray, first: np.ndarray, seed: int) -> np.ndarray:
    """Whole units [c, K] near the amounts wanted; every row's sum stays.

    A row's parts below one unit are laid end to end and hit by a comb with teeth one unit apart
    (Madow 1949).  Rows that hesitate between the same two regions follow each other, and their
    combs are shifted evenly, so that their sums come out within about a unit.

    Args:
        want: [c, K] amounts; rows sum to whole numbers.
        region: [c, K] options.
        first: [c, 2] the two options that a row hesitates between, the likelier first.
        seed: of the one random offset.
    """
    count = np.rint(want.sum(1)).astype(np.int64)
    whole = np.floor(want + 1e-9).astype(np.int64)
    left = count - whole.sum(1)
    ends = np.cumsum(np.maximum(want - whole, 0.0), 1)
    ends *= (left / np.maximum(ends[:, -1], 1e-300))[:, None]
    ends[:, -1] = left
    split = np.take_along_axis(region, first, 1)
    part = np.take_along_axis(want, first[:, :1], 1)[:, 0] / count
    order = np.lexsort((part, split[:, -1], split[:, 0]))
    offset = np.empty(len(count))
    offset[order] = (np.random.default_rng(seed).random() + GOLDEN * np.arange(len(count))) % 1.0
    teeth = np.floor(ends + 1.0 - np.maximum(offset, 1e-12)[:, None]).astype(np.int64)
    return whole + np.diff(teeth, prepend=0, axis=1)
