"""Damped projected Newton ascent on the smoothed semi-dual, one temperature at a time.

    maximise over lambda >= 0:   V(lambda) = sum_i softmin_i(lambda) - limit . lambda

V is concave and smooth; its gradient is load - limit.  A step maximises the quadratic model,
damped like Levenberg's, over a box: duals stay >= 0, and each moves at most its own reach, since
the curvature says little about what lies many temperatures away.  Regions that share their rows
with each other, and hardly with others, may have far to go together; before a step, a line search
follows them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxplace.kernels import api as kernels
from jaxplace.kernels.api import Covariance, Response
from jaxplace.native import compiled
from jaxplace.problem import Problem
from jaxplace.relax.ascent import AbstractAscent, Constraints, Report, Settled, respond
from jaxplace.relax.sampling import sample


if TYPE_CHECKING:
    from jaxplace.kernels.device import Matrix


SWEEPS = 6  # of the active set; most steps need two to four
TRIES = 8  # shorter and shorter steps before giving up
CURVATURE_NOISE = 3e-6  # of a dual's curvature and the largest, their geometric mean
FLAT = 1e-2  # of the curvature at which a reach is the step: a damping where there is hardly any
STIFF = 1e-2  # a damping, as a share of the diagonal, that keeps the active set from cycling
DOUBTFUL = 1e-4  # rows more certain than this have no curvature worth a sweep
FEW_ROWS = 2048  # whose curvature is taken whatever it costs,
SPREAD_ROWS = 1024  # or, where each is spread over so many regions:
SPREAD = 300
CURVATURE_PAIRS = 4e6  # entries of shares' products that a step may spend on curvature
OVER_SPREAD = 4.0  # regions with a share that counts, for each one that a row is spread over
RADIUS = 4.0  # temperatures that a dual may move in a first step
PATIENCE = 5  # steps in which the value must rise by more than
NEGLIGIBLE = 1e-6  # of itself, or
SLOW = 0.1  # of what is worth a step
SETTLED = 0.02  # of the regret: what V may still rise by when a temperature is settled
SMALL = 1e-6  # of all use: gradients below it surprise nobody;
OWN = 1e-3  # of its limit: the same for a small region
PACE, SLOWEST = 2.0, 1.1  # what a reach may grow by, at most and at least:
SLOWER = 0.7  # to this power where a dual turned back by all its reach,
QUICKER = 1.5  # and so many times more again where it went on
SURPRISING = 0.5  # share of a gradient that the model did not foresee: it went too far
AT_REACH, FAR = 0.9, 32.0  # a step that its reach cut short, and how many reaches it may lack
FARTHER = 10.0  # times as many before slow progress ends the ascent: reaches only double
MOST_DENSE = 1500  # duals up to which the curvature is factorised; few regions share a row
NEARLY, ITERATIONS = 1e-3, 200  # of conjugate gradients above: what may be left, and the most
CRUDE, FINER = 0.3, 0.2  # what may be left in the first sweep, and in the next that much of it
CHANGED = 1 / 256  # of the active set: fewer changes are for the next step, with many duals
FOLLOWED = 60  # iterations for a direction that is only searched along
LONGEST = 1e5  # temperatures, in any step
TOGETHER = 1e-5  # the damping of a direction in which regions that share rows move as one
SHARED = 0.3  # of a region's gradient: what a temperature's step must change for it to have a say
DOUBLINGS = 12  # of a step along it, at most
LITTLE = 0.1  # of the last step's rise: a line search that brings less is not tried next time


class Direction(NamedTuple):
    """A trial point and the rise of V that the quadratic model promises."""

    point: np.ndarray  # [q]
    promised: float
    gradient: np.ndarray  # [q] that it promises there


def trial_point(
    matrix: "np.ndarray | Covariance | Matrix",
    gradient: np.ndarray,
    point: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    reach: np.ndarray,
    damping: float,
) -> Direction:
    """The maximiser of the quadratic model inside its box, by a primal-dual active set.

    Args:
        matrix: [q, q] minus the Hessian, positive semidefinite up to float32; where it is on a
            device, what takes long is done there.
        gradient: [q] load - limit.
        point: [q] >= `lowest`.
        box: [q] >= 0 and [q], what no dual may fall below, or rise above.
        reach: [q] the furthest that each dual may move.
        damping: share of the diagonal that is added to it.

    The duals of one region's resources pull in nearly the same direction, so a dual that hits
    its bound changes what the others should do: clipping the unconstrained step does not do.
    """
    diagonal = matrix.diagonal()
    flat = np.abs(gradient) / np.maximum(reach, 1e-300)  # curvature at which `reach` is the step
    extra = damping * (diagonal + FLAT * flat) + _floor(diagonal)
    low, high = np.maximum(box[0] - point, -reach), np.minimum(box[1] - point, reach)
    free = np.where(gradient > 0, high > 0, low < 0)
    step = np.zeros_like(point)
    solve = _solver(matrix)
    many = isinstance(matrix, Covariance)
    left, few = (CRUDE, CHANGED * len(point)) if many else (NEARLY, 0.0)
    for _ in range(SWEEPS):
        held = np.where(free, 0.0, step)
        right = gradient - matrix @ held if held.any() else gradient
        guess = np.where(free, step, 0.0)
        step = held + solve(matrix, extra, np.where(free, right, 0.0), free, guess=guess, left=left)
        slope = gradient - matrix @ step - extra * step  # 0 where nobody is, and nothing fits
        held_low = np.where(free, step <= low, (step <= low) & (slope <= 0))
        held_high = np.where(free, step >= high, (step >= high) & (slope >= 0))
        now_free = ~(held_low | held_high)
        step = np.where(held_low, low, np.where(held_high, high, step))
        if left <= NEARLY and (now_free != free).sum() <= few:
            break
        free, left = now_free, max(left * FINER, NEARLY)
    step = np.clip(step, low, high)
    bend = matrix @ step
    return Direction(point + step, float(gradient @ step - 0.5 * step @ bend), gradient - bend)


def together(
    matrix: "np.ndarray | Covariance | Matrix",
    gradient: np.ndarray,
    point: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    unit: np.ndarray,
) -> np.ndarray:
    """[q] a direction of ascent that follows what has next to no curvature.

    Args:
        matrix: as `trial_point` has it.
        gradient: [q] load - limit.
        point: [q] in the box.
        box: as `trial_point` has it.
        unit: [q] one temperature, in each dual's unit.

    Where all rows of some regions have their options among them, raising these regions' duals by
    the same amount changes next to nothing but the value: the Newton step there is as long as the
    damping lets it be.  Regions that have hardly a row in doubt, of which it says nothing, follow
    those that they share it with.
    """
    diagonal = matrix.diagonal()
    free = np.where(gradient > 0, point < box[1], point > box[0])
    gradient = np.where(diagonal * unit >= SHARED * np.abs(gradient), gradient, 0.0)
    flat = np.abs(gradient) / (RADIUS * unit)
    extra = TOGETHER * diagonal + FLAT * flat + _floor(diagonal)
    right = np.where(free, gradient, 0.0)
    return _solver(matrix)(matrix, extra, right, free, iterations=FOLLOWED)


def _floor(diagonal: np.ndarray) -> np.ndarray:
    """[q] what float32 sums may leave the matrix indefinite by."""
    return CURVATURE_NOISE * np.sqrt(np.maximum(diagonal, 0.0) * diagonal.max()) + 1e-18


def _solver(matrix: "np.ndarray | Covariance | Matrix") -> Callable[..., np.ndarray]:
    return _solve if isinstance(matrix, np.ndarray) else _iterated


def _solve(
    matrix: np.ndarray, extra: np.ndarray, right: np.ndarray, free: np.ndarray, **_: object
) -> np.ndarray:
    """What solves the free rows of (matrix + extra) x = right, 0 elsewhere.

    0 everywhere where the matrix is not positive definite.
    """
    index, found = np.nonzero(free)[0], np.zeros_like(right)
    if not len(index):
        return found
    part = matrix[np.ix_(index, index)]
    part[np.arange(len(index)), np.arange(len(index))] += extra[index]
    try:
        factor = np.linalg.cholesky(part)
    except np.linalg.LinAlgError:
        return found
    solved = right[index]
    _substitute(factor, solved)
    found[index] = solved
    return found


@partial(compiled, fast=True)
def _substitute(lower, right):  # type: ignore[no-untyped-def]
    """Make `right` [k] the x of L L' x = right; loading SciPy for it would slow every start."""
    for i in range(len(right)):
        left = right[i]
        for j in range(i):
            left -= lower[i, j] * right[j]
        right[i] = left / lower[i, i]
    for i in range(len(right) - 1, -1, -1):
        right[i] /= lower[i, i]
        for j in range(i):
            right[j] -= lower[i, j] * right[i]


def _iterated(
    matrix: "Covariance | Matrix",
    extra: np.ndarray,
    right: np.ndarray,
    free: np.ndarray,
    *,
    guess: np.ndarray | None = None,
    left: float = NEARLY,
    iterations: int = ITERATIONS,
) -> np.ndarray:
    """The same where the matrix is: on a device factorised, if it is small, else iterated."""
    if isinstance(matrix, Covariance):
        start = np.zeros_like(right) if guess is None else guess
        return matrix.solve(extra, right, free, guess=start, left=left, iterations=iterations)
    if len(right) <= MOST_DENSE:
        return matrix.solve(extra, right, free)
    return matrix.solve(extra, right, free, iterations=iterations, left=left)


@dataclass(frozen=True)
class Newton(AbstractAscent):
    """The default method: three to eight steps a temperature, whatever the number of rows.

    Attributes:
        max_steps: steps at one temperature, >= 1.
        curvature_rows: rows from which the curvature is taken (all, if fewer); the gradient
            always comes from all rows.
    """

    max_steps: int = 50
    curvature_rows: int = 16384

    def settle(
        self,
        problem: Problem,
        point: np.ndarray,
        temperature: float,
        *,
        tolerance: float,
        worth: float,
        report: Report,
        span: float = np.inf,
        groups: bool = False,
    ) -> Settled:
        """See `AbstractAscent.settle`."""
        of = Constraints.of(problem)
        response = respond(problem, of, point, temperature)
        height = of.height(response, point)
        box = of.within(span, point, temperature)
        now = Settled(point, response, of.violation(response, point), 0)
        unit = temperature / of.unit
        reach, damping = RADIUS * unit, 1e-3
        pace, last = np.full_like(point, PACE), np.zeros_like(point)
        small = np.minimum(SMALL * of.total * of.unit, OWN * of.limit) + 1e-300  # surprises nobody
        heights, turn, every, far, ahead = [height], 0, 1, RADIUS, np.inf
        while now.steps < self.max_steps and not report(now):
            risen = height - heights[0]
            hardly = NEGLIGIBLE * abs(height)
            slow = len(heights) > PATIENCE and risen <= max(hardly, worth * SLOW)
            if slow and FARTHER * ahead <= max(hardly, worth):
                break
            heights = [*heights[-PATIENCE:], height]
            sample = self._curved(problem, now.response)
            matrix = kernels.curvature(
                sample, of.duals(now.point), temperature, dense=len(of.limit) <= MOST_DENSE
            )
            gradient, carried = of.taken(now.response) - of.limit, 0.0
            turn += groups
            if groups and turn % every == 0:
                direction = together(matrix, gradient, now.point, box, unit)
                now, carried, far = _carried(
                    problem, of, now, height, direction, box, temperature, far
                )
                gradient = of.taken(now.response) - of.limit
                height += carried
            near = now.violation <= tolerance
            enough = max(SETTLED * float(now.response.regret), worth)
            for _ in range(TRIES):
                trial = trial_point(matrix, gradient, now.point, box, reach, damping)
                ahead = _farther(trial, now.point, reach)
                if near and 0 <= trial.promised + ahead <= enough:
                    return now
                there = trial.point.astype(np.float32).astype(np.float64)
                response = respond(problem, of, there, temperature)
                rise = of.height(response, there) - height
                promised = trial.promised
                if promised <= 0:  # the active set went round in circles: stiffer, it will not
                    damping = max(damping * 16, STIFF)
                elif rise < 0.25 * promised:
                    damping = damping * 4
                elif rise > 0.75 * promised:
                    damping = max(damping / 4, 1e-9)
                step = there - now.point
                after = of.taken(response) - of.limit
                size = np.abs(after) + np.abs(gradient) + small
                surprise = np.abs(after - trial.gradient) / size
                if rise > 0.05 * promised > 0:
                    break
                wrong = surprise > min(SURPRISING, np.median(surprise))  # the others go on
                shorter = np.minimum(reach, np.maximum(np.abs(step), unit)) / 2
                reach = np.where(wrong, np.maximum(shorter, unit / 1e3), reach)
            else:
                break  # at float32's limit: nothing nearer the optimum can be told apart
            turned, last = step * last < 0, step
            reach, pace = _adapt(
                reach, pace, step, surprise, turned, unit=unit, trusted=rise > 0.75 * promised
            )
            if groups and turn % every == 0:  # ever more seldom, where it does not pay
                turn, every = 0, 1 if carried > LITTLE * rise else 2 * every
            height += rise
            violation = of.violation(response, there)
            now = Settled(there, response, violation, now.steps + 1, now.rise + rise)
        return now

    def _curved(self, problem: Problem, response: Response) -> Problem:
        """The rows that carry the curvature: those in doubt, drawn by how much if too many."""
        if problem.size <= FEW_ROWS:
            return problem
        weight, scale = problem.weight, problem.scale
        doubt = np.asarray(response.doubt)[: problem.size].astype(np.float64)
        index = np.nonzero(doubt > DOUBTFUL)[0]
        # a row costs the square of the regions that it is spread over
        spread = 1.0 / np.maximum(1.0 - doubt[index], 1.0 / problem.regions)
        pairs = np.minimum(OVER_SPREAD * spread, problem.regions) ** 2
        each = max(pairs.mean(), 1.0) if len(index) else 1.0
        least = FEW_ROWS if each < SPREAD**2 else SPREAD_ROWS
        rows = int(np.clip(CURVATURE_PAIRS / each, least, self.curvature_rows))
        mass = (weight * scale * doubt)[index]
        boost = np.ones(len(index))
        if len(index) > rows:
            drawn, boost = sample(mass, rows, np.random.default_rng(len(index)))
            index = index[drawn]
        return problem.take(index, weight[index] * boost)


def _carried(
    problem: Problem,
    of: Constraints,
    now: Settled,
    height: float,
    direction: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    temperature: float,
    far: float,
) -> tuple[Settled, float, float]:
    """Where doubled steps along a direction bring the value no further, and what it rose by.

    The first step takes the dual that goes furthest `far` temperatures; last comes what the first
    one should be next time.
    """
    start, rise, length = now, 0.0, float(np.abs(direction * of.unit).max()) / temperature
    if length <= 0:
        return now, rise, far
    for _ in range(DOUBLINGS):
        ahead = np.clip(start.point + min(far / length, 1.0) * direction, *box)
        ahead = ahead.astype(np.float32).astype(np.float64)
        if (of.taken(now.response) - of.limit) @ (ahead - now.point) <= 0:
            break  # the value is concave: from here it only falls
        response = respond(problem, of, ahead, temperature)
        more = of.height(response, ahead) - height
        if more <= rise:
            break
        rise, far = more, 2 * far
        violation = of.violation(response, ahead)
        now = Settled(ahead, response, violation, start.steps, start.rise + rise)
    return now, rise, max(far / 4, RADIUS)


def _farther(trial: Direction, point: np.ndarray, reach: np.ndarray) -> float:
    """What V may rise by beyond a step that some duals' reach cuts short."""
    cut = np.abs(trial.point - point) > AT_REACH * reach
    return FAR * float(np.abs(trial.gradient[cut]) @ reach[cut])


def _adapt(
    reach: np.ndarray,
    pace: np.ndarray,
    step: np.ndarray,
    surprise: np.ndarray,
    turned: np.ndarray,
    *,
    unit: np.ndarray,
    trusted: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Each dual's reach for the next step, and pace: longer where the model proved right.

    Regions that nobody is in doubt about have no curvature and far to go, their neighbours have
    much and are nearly there: one radius for all would starve the former or shake the latter.
    Where the model is right as a whole, all go further: substitutes must be free to move together.
    A dual that has turned back would, if its reach doubled at once, turn for ever.

    Args:
        reach: [q] of the last step.
        pace: [q] what each reach may grow by.
        step: [q] the last step.
        surprise: [q] what the model got wrong about the new gradient, as a share of the old and
            new one.
        turned: [q] bool, against the step before.
        unit: [q] one temperature, in each dual's unit.
        trusted: whether the model foresaw the rise of the value.
    """
    stopped = np.abs(step) > AT_REACH * reach
    longer = np.where(stopped | trusted, np.minimum(pace * reach, LONGEST * unit), reach)
    reach = np.where(surprise > SURPRISING, np.maximum(reach / 2, unit / 4), longer)
    quicker = np.where(stopped, np.minimum(pace * QUICKER, PACE), pace)
    return reach, np.where(stopped & turned, np.maximum(pace**SLOWER, SLOWEST), quicker)
