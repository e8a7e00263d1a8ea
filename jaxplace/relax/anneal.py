"""Temperature continuation over growing samples: the relaxation's one loop.

Hot and small first, colder and larger as the duals settle.  A sample serves as long as enough of
its rows are in doubt at the temperature; then the next, four times larger one goes on from its
duals, and at last all rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxplace.kernels import api as kernels
from jaxplace.kernels.api import Response
from jaxplace.problem import Problem
from jaxplace.relax.ascent import AbstractAscent, Constraints, Settled, respond, spread_of
from jaxplace.relax.sampling import sample


HOTTEST = 1 / 16  # in units of the problem's cost scale: the spread of a typical row's costs
MOLTEN = 32.0  # where a start is given up getting hotter
COLD, WARM = 3e-4, 2e-2  # where a start from known duals begins, as they fit
COLDEST = 1e-5  # in the same units
FLOAT32 = 2e-6  # of the largest dual: differences of reduced costs below are rounding
COOLING = 3.0  # from one temperature to the next
SAMPLE = 2048  # rows of the first sample, at least
ROWS_PER_REGION = 16  # of the first sample, at least
GROWTH = 4  # from one sample to the next,
LARGEST_SAMPLE = 0.5  # of all rows: a larger one saves little
FEW_ROWS = 100_000  # up to which all rows take part in every step
HOTTER, RESTLESS = 16.0, 1e-4  # temperature and doubt of the rows that take part, if there are more
LISTED, SAMPLED = 63, 31  # regions that each of them chooses from, and in a sample
OPTIONS = 4.0  # on a list for each that rows are spread over, at least
MOST = 0.95  # of the rows: where more are spread widely, since they see the same costs, so do lists
SPAN = 256.0  # temperatures that a dual may move before they are chosen anew
NEARER, LONGER = 8.0, 2  # the same divided, and as many times longer lists, where the value fell
ROUNDS = 3  # of choosing them anew, while all rows
AS_EXPECTED, MISSED = 1.5, 5.0  # violate more than they, or the value falls short by so many worths
MOST_DOUBT = 25_000.0  # rows in doubt that rounding can take; colder, they are fewer
LOOSE = 2.5  # how much more regret a sample may keep than the whole
DOUBT_PER_DUAL = 8.0  # rows in doubt that a sample must have for each dual
THAW = 8.0  # a step of the temperature where a start turns out too cold
USUAL = 0.99  # of all use, what pays no more than usual duals,
RAISE = 2.0  # and the factor between the heights that higher ones may be cut to
MORE = 2  # times the steps, where duals settle last after a change,
LESS = 10.0  # and what the value may still rise by there is so many times less
SMALL = 4  # so many times fewer rows in a sample than in all: it does for all hotter temperatures
MILD = 0.1  # violation at known duals up to which a temperature may be their first,
UNSETTLED = 1.5  # and after all steps at it, in tolerances, above which it was too cold
FEWEST_ROWS, FINER = 2000, 0.1  # up to which steps cost next to nothing: they go on for less
TOLERANCE = 1e-2  # violation at which a temperature is settled,
ROUGH = 3e-2  # and in a sample, whose own error is no smaller
PRECISE, EXACT = 16.0, 1e-4  # in the coldest: a temperature that settles better, and how well


class Waypoint(NamedTuple):
    """Settled duals [q], and the temperature at which they are."""

    temperature: float
    point: np.ndarray


@dataclass(frozen=True)
class Relaxation:
    """Duals, and what the rows do under them.  Scaled; nothing here is a proven bound.

    Attributes:
        point: [q] duals as `Constraints` orders them, at `temperature`.
        best: [q] the duals whose float32 bound was highest so far.
        bound: that bound, or -inf before the first full pass; float32, not certified.
        regret: what the smoothed plan costs above the bound, if its violation is worth nothing.
        doubt: rows that are split between options, a row counting 1 - sum of squared shares.
        violation: overload and priced idle capacity of the smoothed plan, share of all use.
        path: where the duals settled on the way here, the hottest first.
    """

    point: np.ndarray
    best: np.ndarray
    bound: float
    temperature: float
    regret: float
    violation: float
    doubt: float
    steps: int
    whole: bool  # all rows are in it: before, bound and regret are a sample's estimates
    path: tuple[Waypoint, ...] = ()


Watch = Callable[[Relaxation], bool]  # sees every step; True: stop now


def begin(problem: Problem) -> Relaxation:
    """A relaxation that knows nothing yet."""
    q = problem.limit.size + int(np.isfinite(problem.budgets).sum())
    return Relaxation(np.zeros(q), np.zeros(q), -np.inf, HOTTEST, np.inf, np.inf, np.inf, 0, False)


def resume(problem: Problem, point: np.ndarray, *, seed: int) -> Relaxation:
    """A relaxation that starts from known duals, the colder the better they fit.

    Args:
        problem: all rows.
        point: [q] duals as `Constraints` orders them.
        seed: of the sample that they are tried on.
    """
    part = next(_levels(problem, seed))
    of, temperature = Constraints.of(part), COLD
    while temperature < WARM:
        if of.violation(respond(part, of, point, temperature), point) <= MILD:
            break
        temperature = min(temperature * THAW, WARM)
    return replace(begin(problem), point=point, best=point, temperature=temperature)


def anneal(
    problem: Problem,
    start: Relaxation,
    ascent: AbstractAscent,
    *,
    regret: float,
    watch: Watch,
    seed: int,
    cooling: float = COOLING,
) -> Relaxation:
    """Cool until the smoothed plan's regret is small beside the bound, and few rows are in doubt.

    Args:
        problem: all rows.
        start: where to go on from; its temperature is the first one.
        ascent: the method at one temperature.
        regret: target of the smoothed plan's, as a share of the bound's magnitude.
        watch: called with the state after every step.
        seed: of the samples.
        cooling: from one temperature to the next.
    """
    state, stopped, first = start, False, True
    duals = problem.regions * problem.limit.shape[1]
    for level in [problem] if start.whole else _levels(problem, seed):
        if stopped:
            break
        size = abs(state.bound) if np.isfinite(state.bound) else 0.0
        if level is problem and not state.whole:  # what is known of the bound was an estimate
            state = replace(state, bound=-np.inf, best=state.point, whole=True)
        if not first:
            state = replace(state, point=_fallen(level, state.point, state.temperature))
        while not stopped:
            aim = regret * (1 if state.whole else LOOSE)
            finer = FINER if problem.size <= FEWEST_ROWS else 1.0
            state, stopped = _settle(level, state, ascent, watch, finer * aim * size)
            size = abs(state.bound)
            unsettled = state.violation > UNSETTLED * _tolerance(state)
            if first and unsettled and state.temperature < MOLTEN:
                # scarce capacity lifts the duals to what it costs to be left out: far to go
                state = replace(state, point=start.point, temperature=state.temperature * THAW)
                continue
            first = False
            hotter = (p for p in state.path if p.temperature > state.temperature)
            state = replace(state, path=(*hotter, Waypoint(state.temperature, state.point)))
            aim *= abs(state.bound)
            thin = not state.whole and state.doubt < DOUBT_PER_DUAL * duals
            few = not state.whole or state.doubt <= MOST_DOUBT
            cold = state.temperature / cooling < coldest(state)
            done = (state.regret <= aim and few) or thin or cold
            if not cold and not (done and state.whole):
                state = _cooled(level, state, min(cooling, state.temperature / coldest(state)))
            if done:
                break
    return state


def _cooled(problem: Problem, state: Relaxation, cooling: float) -> Relaxation:
    """The next temperature's start: the duals go on as they went, if that raises the value."""
    colder, point = state.temperature / cooling, state.point
    if len(state.path) > 1:
        before, now = state.path[-2:]
        gone = (now.temperature - colder) / (before.temperature - now.temperature)
        ahead = now.point + gone * (now.point - before.point)
        point = _highest(problem, colder, ahead, point)
    return replace(state, point=point, temperature=colder)


def _fallen(problem: Problem, point: np.ndarray, temperature: float) -> np.ndarray:
    """[q] duals without those that only a sample's chance had driven up.

    Where one drawn row stands for many and has nowhere else to go, a small region's dual rises to
    what being left out costs, and from there a few temperatures a step would bring it back late.
    Cut to one height, regions that share such rows fall together, as none would alone.
    """
    of, capacity = Constraints.of(problem), slice(problem.limit.size)
    response = respond(problem, of, point, temperature)
    load, limit, duals = of.taken(response)[capacity], of.limit[capacity], point[capacity]
    order = np.argsort(duals)
    paid = np.cumsum(load[order])
    cap = max(duals[order[np.searchsorted(paid, USUAL * paid[-1])]], temperature)
    if (load >= limit)[duals > RAISE * cap].all():
        return point
    best, highest = point, of.height(response, point)
    while cap < duals.max():
        lower = point.copy()
        lower[capacity] = np.minimum(duals, cap)
        for _ in range(2):
            response = respond(problem, of, lower, temperature)
            height = of.height(response, lower)
            if height > highest:
                best, highest = lower, height
            wanted = (duals > cap) & (of.taken(response)[capacity] > limit)  # for good reason then
            if not wanted.any():
                break
            lower = lower.copy()
            lower[capacity][wanted] = duals[wanted]
        cap *= RAISE
    return best


def _highest(problem: Problem, temperature: float, *points: np.ndarray) -> np.ndarray:
    """The one of several duals [q] at which the smoothed value is highest, made >= 0."""
    of = Constraints.of(problem)
    starts = [np.maximum(point, 0.0).astype(np.float32).astype(np.float64) for point in points]
    heights = [of.height(respond(problem, of, at, temperature), at) for at in starts]
    return starts[int(np.argmax(heights))]


def reanneal(
    problem: Problem,
    part: Problem,
    start: Relaxation,
    ascent: AbstractAscent,
    *,
    heats: tuple[float, ...],
    max_steps: int,
    worth: float,
) -> Relaxation:
    """Duals of a changed problem at the same temperature, after they settled at hotter ones.

    At each they start from the best of where they settled there last, before the change or after
    an earlier one, and the same moved as the hotter ones moved.

    Args:
        problem: the relaxation's problem with other rows or limits.
        part: a sample of it, for the hottest temperature, or all but the last if it is small.
        start: duals from before the change.
        ascent: the method at one temperature.
        heats: where they settle one after the other, in the start's temperature; the last is 1.
        max_steps: of the ascent at each temperature.
        worth: what the value may still rise by when a temperature is settled.
    """
    point, of, moved = start.point, Constraints.of(problem), 0.0
    path: list[Waypoint] = []
    last = 1 if problem.size < SMALL * part.size else len(heats) - 1
    for place, heat in enumerate(heats):
        temperature, hot, cold = start.temperature * heat, place < last, heat == heats[-1]
        few = MORE * max_steps if cold else max_steps
        level = part if hot else problem
        known = _known(start, temperature)
        before = _highest(level, temperature, known + moved, known, point)
        settle = partial(
            ascent.settle,
            temperature=temperature,
            tolerance=ROUGH,
            worth=worth if hot else worth / LESS,
            report=lambda now, few=few: now.steps >= few,  # type: ignore[misc]
            span=np.inf if hot else SPAN,
            groups=not hot,
        )
        many = not hot and problem is not part  # fewer rows are soon seen as a whole
        listed = _listed(problem, of, before, temperature, settle, worth) if many else None
        point = settle(level, before).point if listed is None else listed
        moved = point - known
        path.append(Waypoint(temperature, point))
    return replace(start, point=point, path=tuple(path))


def precise(problem: Problem, state: Relaxation, ascent: AbstractAscent) -> Relaxation:
    """The relaxation at a temperature at which the smoothed plan keeps its limits nearly exactly.

    At the coldest ones a share changes by several per cent from one float32 dual to the next.
    """
    temperature = max(state.temperature, PRECISE * coldest(state))
    now = ascent.settle(
        problem,
        _known(state, temperature),
        temperature,
        tolerance=EXACT,
        worth=0.0,
        report=lambda _: False,
        groups=True,
    )
    return replace(state, point=now.point, temperature=temperature, violation=now.violation)


def _listed(
    problem: Problem,
    of: Constraints,
    point: np.ndarray,
    temperature: float,
    settle: Callable[[Problem, np.ndarray], Settled],
    worth: float,
) -> np.ndarray | None:
    """[q] where duals settle with lists for all rows; None if lists say too little about them."""
    response = respond(problem, of, point, temperature)
    if not _listable(problem, response):
        return None
    now = settle(kernels.shortlist(problem, of.duals(point), k=LISTED), point)
    foreseen = of.height(response, point) + now.rise
    reached = of.height(respond(problem, of, now.point, temperature), now.point)
    return now.point if foreseen - reached <= worth else None


def _listable(problem: Problem, response: Response) -> bool:
    """Whether lists of most rows' nearest regions stand for the smoothed plan."""
    return spread_of(problem, response, MOST) * OPTIONS <= LISTED


def _known(state: Relaxation, temperature: float) -> np.ndarray:
    """[q] where the duals settled last at about this temperature."""

    def off(place: Waypoint) -> float:
        return abs(float(np.log(place.temperature / temperature)))

    return min(state.path, key=off).point if state.path else state.point


def coldest(state: Relaxation) -> float:
    """The temperature below which float32 does not tell reduced costs apart."""
    return max(COLDEST, FLOAT32 * float(np.abs(state.point).max(initial=0.0)))


def _tolerance(state: Relaxation) -> float:
    """Violation at which a temperature is settled."""
    return TOLERANCE if state.whole else ROUGH


def _levels(problem: Problem, seed: int) -> Iterator[Problem]:
    """Growing samples, then the problem itself."""
    rng = np.random.default_rng(seed)
    weight = problem.weight
    mass = weight * problem.scale
    size = min(max(SAMPLE, ROWS_PER_REGION * problem.regions), FEW_ROWS)
    first = problem.size > FEW_ROWS  # one at least: where it is hot, all its rows must take part
    while first or size <= LARGEST_SAMPLE * problem.size:
        index, boost = sample(mass, size, rng)
        yield problem.take(index, weight[index] * boost)
        size, first = size * GROWTH, False
    yield problem


def _settle(
    problem: Problem,
    state: Relaxation,
    ascent: AbstractAscent,
    watch: Watch,
    worth: float,
) -> tuple[Relaxation, bool]:
    """One temperature on one level, and whether `watch` said stop."""
    stopped = False

    def report(now: Settled) -> bool:
        nonlocal stopped
        stopped = watch(replace(state, violation=now.violation, steps=state.steps + now.steps))
        return stopped

    of, tolerance = Constraints.of(problem), _tolerance(state)
    if problem.size <= FEW_ROWS:
        now = ascent.settle(
            problem,
            state.point,
            state.temperature,
            tolerance=tolerance,
            worth=worth,
            report=report,
        )
        return _note(problem, of, state, now), stopped
    response = respond(problem, of, state.point, state.temperature)
    span, listed = SPAN, LISTED if state.whole else SAMPLED
    height, violation = of.height(response, state.point), of.violation(response, state.point)
    state = _note(problem, of, state, Settled(state.point, response, violation, 0))
    for _ in range(ROUNDS):
        part = _restless(problem, of, state, response, listed)
        share = of.total / Constraints.of(part).total
        now = ascent.settle(
            part,
            state.point,
            state.temperature,
            tolerance=tolerance * share,
            worth=worth,
            report=report,
            span=span,
            groups=state.whole,
        )
        del part  # the next one would have no room beside it
        there = respond(problem, of, now.point, state.temperature)
        foreseen, reached = height + now.rise, of.height(there, now.point)
        if reached < height - worth:  # so far off, the rows that take part say too little
            state = replace(state, steps=state.steps + now.steps)
            span, listed = span / NEARER, listed * LONGER
        else:
            response, height = there, reached
            violation, expected = of.violation(response, now.point), now.violation / share
            state = _note(problem, of, state, replace(now, response=response, violation=violation))
            as_expected = violation <= max(tolerance, AS_EXPECTED * expected)
            if as_expected and foreseen - height <= MISSED * worth:
                break
        if stopped:
            break
    return state, stopped


def _restless(
    problem: Problem, of: Constraints, state: Relaxation, response: Response, listed: int
) -> Problem:
    """The rows that a hotter temperature leaves in doubt, over what the others leave.

    The others have one option that is best by far, and stay there as long as no dual falls far; a
    pass over all rows shows whether they do.
    """
    hot = respond(problem, of, state.point, state.temperature * HOTTER)
    index = np.nonzero(np.asarray(hot.doubt)[: problem.size] > RESTLESS)[0]
    part = problem.take(index)
    if _listable(problem, response):
        part = kernels.shortlist(part, of.duals(state.point), k=listed)
    moved = of.taken(respond(part, of, state.point, state.temperature))
    left = np.maximum(of.limit - (of.taken(response) - moved), 0.0)
    limit = left[: problem.limit.size].reshape(problem.limit.shape)
    budgets = problem.budgets.copy()
    budgets[of.budgets] = left[problem.limit.size :]
    return replace(part, limit=limit, budgets=budgets)


def _note(problem: Problem, of: Constraints, state: Relaxation, now: Settled) -> Relaxation:
    """The state after an ascent."""
    response = now.response
    bound = float(response.exact) - of.limit @ now.point
    state = replace(
        state,
        point=now.point,
        regret=float(response.regret),
        doubt=float(np.asarray(response.doubt)[: problem.size][problem.weight > 0].sum()),
        violation=now.violation,
        steps=state.steps + now.steps,
    )
    return replace(state, best=now.point, bound=bound) if bound > state.bound else state
