"""Damped projected Newton ascent on the smoothed semi-dual, one temperature at a time.

    maximise over lambda >= 0:   V(lambda) = sum_i softmin_i(lambda) - limit . lambda

V is concave and smooth; its gradient is load - limit.  A step maximises the quadratic model,
damped like Levenberg's, over a box: duals stay >= 0, and each moves at most its own reach, since
the curvature says little about what lies many temperatures away.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxplace.kernels import api as kernels
from jaxplace.kernels.api import Response
from jaxplace.problem import Problem
from jaxplace.relax.ascent import AbstractAscent, Constraints, Report, Settled, respond
from jaxplace.relax.sampling import sample


SWEEPS = 12  # of the active set; most steps need two to four
TRIES = 8  # shorter and shorter steps before giving up
CURVATURE_NOISE = 3e-6  # of the largest curvature
STIFF = 1e-2  # a damping, as a share of the diagonal, that keeps the active set from cycling
DOUBTFUL = 1e-4  # rows more certain than this have no curvature worth a sweep
RADIUS = 4.0  # temperatures that a dual may move in a first step
PATIENCE = 5  # steps in which the value must rise by more than
NEGLIGIBLE = 1e-6  # of itself
SMALL = 1e-6  # of all use: gradients below it surprise nobody
LONGEST = 1e5  # temperatures, in any step


class Direction(NamedTuple):
    """A trial point and the rise of V that the quadratic model promises."""

    point: jax.Array  # [q]
    promised: jax.Array  # []
    gradient: jax.Array  # [q] that it promises there


@jax.jit
def trial_point(
    matrix: jax.Array,
    gradient: jax.Array,
    point: jax.Array,
    reach: jax.Array,
    damping: jax.Array,
) -> Direction:
    """The maximiser of the quadratic model inside its box, by a primal-dual active set.

    Args:
        matrix: [q, q] minus the Hessian, positive semidefinite up to float32.
        gradient: [q] load - limit.
        point: [q] >= 0.
        reach: [q] the furthest that each dual may move.
        damping: share of the diagonal that is added to it.

    The duals of one region's resources pull in nearly the same direction, so a dual that hits
    its bound changes what the others should do: clipping the unconstrained step does not do.
    """
    diagonal = jnp.diagonal(matrix)
    flat = jnp.abs(gradient) / jnp.maximum(reach, 1e-300)  # curvature at which `reach` is the step
    # float32 sums leave the matrix indefinite by about their rounding
    floor = CURVATURE_NOISE * diagonal.max() + 1e-18
    system = matrix + jnp.diag(damping * (diagonal + 1e-2 * flat) + floor)
    low, high = jnp.maximum(-point, -reach), reach

    def solve(free: jax.Array, step: jax.Array) -> jax.Array:
        fixed = jnp.where(free, 0.0, step)
        both = free[:, None] & free[None]
        part = jnp.where(both, system, 0.0) + jnp.diag(jnp.where(free, 0.0, 1.0))
        right = jnp.where(free, gradient - system @ fixed, fixed)
        return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(part), right)

    def sweep(carry: tuple) -> tuple:
        free, step, _, count = carry
        step = jnp.nan_to_num(solve(free, step))
        slope = gradient - system @ step
        held_low = jnp.where(free, step <= low, (step <= low) & (slope < 0))
        held_high = jnp.where(free, step >= high, (step >= high) & (slope > 0))
        now_free = ~(held_low | held_high)
        step = jnp.where(held_low, low, jnp.where(held_high, high, step))
        return now_free, step, (now_free != free).any(), count + 1

    free = ((point > 0) | (gradient > 0)) & (reach > 0)
    start = (free, jnp.zeros_like(point), jnp.array(True), 0)
    _, step, _, _ = jax.lax.while_loop(lambda c: c[2] & (c[3] < SWEEPS), sweep, start)
    step = jnp.clip(step, low, high)
    bend = matrix @ step
    return Direction(point + step, gradient @ step - 0.5 * step @ bend, gradient - bend)


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
    ) -> Settled:
        """See `AbstractAscent.settle`."""
        of = Constraints.of(problem)
        response = respond(problem, of, point, temperature)
        height = float(response.value) - of.limit @ point
        now = Settled(point, response, of.violation(response, point), 0)
        reach, damping = RADIUS * temperature / of.unit, 1e-3
        heights = [height]
        while now.steps < self.max_steps and not report(now):
            stuck = height - heights[0] <= NEGLIGIBLE * abs(height) and len(heights) > PATIENCE
            if of.settled(now.response, now.point, tolerance, worth) or stuck:
                break
            heights = [*heights[-PATIENCE:], height]
            sample = self._curved(problem, now.response)
            matrix = kernels.curvature(sample, of.duals(now.point), jnp.float32(temperature))
            gradient = jnp.asarray(of.taken(now.response) - of.limit)
            for _ in range(TRIES):
                trial = trial_point(matrix, gradient, jnp.asarray(now.point), reach, damping)
                there = np.asarray(trial.point, np.float32).astype(np.float64)
                response = respond(problem, of, there, temperature)
                rise = float(response.value) - of.limit @ there - height
                promised = float(trial.promised)
                if promised <= 0:  # the active set went round in circles: stiffer, it will not
                    damping = max(damping * 16, STIFF)
                elif rise < 0.25 * promised:
                    damping = damping * 4
                elif rise > 0.75 * promised:
                    damping = max(damping / 4, 1e-9)
                step = there - now.point
                if rise > 0.05 * promised > 0:
                    break
                unit = temperature / of.unit
                reach = np.maximum(
                    np.minimum(reach, np.maximum(np.abs(step), unit)) / 2, unit / 1e3
                )
            else:
                break  # at float32's limit: nothing nearer the optimum can be told apart
            after = of.taken(response) - of.limit
            wrong = np.abs(after - np.asarray(trial.gradient))
            size = np.abs(after) + np.abs(np.asarray(gradient)) + SMALL * of.total * of.unit
            unit, trusted = temperature / of.unit, rise > 0.75 * promised
            reach = _adapt(reach, step, wrong / size, unit=unit, trusted=trusted)
            height += rise
            now = Settled(there, response, of.violation(response, there), now.steps + 1)
        return now

    def _curved(self, problem: Problem, response: Response) -> Problem:
        """The rows that carry the curvature: those in doubt, drawn by how much if too many."""
        if problem.size <= self.curvature_rows // 4:
            return problem
        weight, scale, doubt = (
            np.asarray(values)[: problem.size].astype(np.float64)
            for values in (problem.rows.weight, problem.rows.scale, response.doubt)
        )
        index = np.nonzero(doubt > DOUBTFUL)[0]
        mass = (weight * scale * doubt)[index]
        boost = np.ones(len(index))
        if len(index) > self.curvature_rows:
            drawn, boost = sample(mass, self.curvature_rows, np.random.default_rng(len(index)))
            index = index[drawn]
        return problem.take(index, weight[index] * boost)


def _adapt(
    reach: np.ndarray,
    step: np.ndarray,
    surprise: np.ndarray,
    *,
    unit: np.ndarray,
    trusted: bool,
) -> np.ndarray:
    """Each dual's reach for the next step: longer where the model proved right, else shorter.

    Regions that nobody is in doubt about have no curvature and far to go, their neighbours have
    much and are nearly there: one radius for all would starve the former or shake the latter.
    Where the model is right as a whole, all go further: substitutes must be free to move together.

    Args:
        reach: [q] of the last step.
        step: [q] the last step.
        surprise: [q] what the model got wrong about the new gradient, as a share of the old and
            new one.
        unit: [q] one temperature, in each dual's unit.
        trusted: whether the model foresaw the rise of the value.
    """
    stopped = np.abs(step) > 0.9 * reach
    longer = np.where(stopped | trusted, np.minimum(2 * reach, LONGEST * unit), reach)
    return np.where(surprise > 0.5, np.maximum(reach / 2, unit / 4), longer)
