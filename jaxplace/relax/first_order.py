"""L-BFGS ascent of the smoothed semi-dual (optax), for more duals than can be factorised."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxplace.problem import Problem
from jaxplace.relax.ascent import AbstractAscent, Constraints, Report, Settled, respond


SHORTER = 12  # halvings of a step before the memory is dropped, and then before giving up
ARMIJO = 1e-4  # share of the promised rise that a step must bring
PATIENCE = 25  # steps in which the value must rise by more than
NEGLIGIBLE = 1e-7  # of itself, or
SLOW = 0.05  # of what is worth a step
FAINT = float(np.finfo(np.float32).eps)  # of the value: rises below are rounding


@functools.cache
def _lbfgs(memory: int) -> tuple[Callable, Callable]:
    """Optax's initialiser and compiled update in float64, one pair for each size of memory."""
    method = optax.scale_by_lbfgs(memory)
    update = jax.jit(method.update)

    def start(point: np.ndarray) -> Any:
        with jax.enable_x64(True):
            return method.init(jnp.asarray(point))

    def step(slope: np.ndarray, state: Any, point: np.ndarray) -> tuple[np.ndarray, Any]:
        with jax.enable_x64(True):
            found, state = update(jnp.asarray(slope), state, jnp.asarray(point))
            return np.asarray(found), state

    return start, step


@dataclass(frozen=True)
class FirstOrder(AbstractAscent):
    """Limited-memory BFGS, projected on duals >= 0.

    Duals are scaled by the square root of what bounds their curvature, load over temperature.
    Duals at 0 that would fall further are held, so that the memory is of the free ones.

    Attributes:
        max_steps: steps at one temperature, >= 1; each is one pass over the rows, or a few.
        memory: pairs of steps and gradients that are kept, >= 1.
    """

    max_steps: int = 300
    memory: int = 20

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
        now = Settled(point, response, of.violation(response, point), 0)
        bend = np.maximum(of.taken(response), 0.1 * np.maximum(of.limit, 0)) * of.unit
        stretch = np.sqrt(np.maximum(bend, 1e-6 * of.total) / temperature)
        start, update = _lbfgs(self.memory)
        memory = start(point * stretch)
        box = of.within(span, point, temperature)
        search = functools.partial(self._search, problem, of, temperature, stretch, box)
        heights = [of.height(now.response, now.point)]
        while now.steps < self.max_steps and not report(now):
            least = max(NEGLIGIBLE * abs(heights[-1]), SLOW * worth)
            stuck = heights[-1] - heights[0] <= least
            if of.settled(now.response, now.point, tolerance, worth):
                break
            if stuck and len(heights) > PATIENCE:
                break
            slope = (of.taken(now.response) - of.limit) / stretch
            slope = np.where((now.point > 0) | (slope > 0), slope, 0.0)
            step, memory = update(-slope, memory, now.point * stretch)
            found = search(now, -step, slope)
            if found is None:  # the memory misleads: once more along the slope itself
                memory = start(now.point * stretch)
                found = search(now, slope, slope)
            if found is None:
                break
            now = found
            heights = [*heights[-PATIENCE:], of.height(now.response, now.point)]
        return now

    def _search(
        self,
        problem: Problem,
        of: Constraints,
        temperature: float,
        stretch: np.ndarray,
        box: tuple[np.ndarray, np.ndarray],
        now: Settled,
        direction: np.ndarray,
        slope: np.ndarray,
    ) -> Settled | None:
        """The first of ever shorter projected steps along `direction` that brings its rise."""
        height = of.height(now.response, now.point)
        for halving in range(SHORTER):
            target = np.clip(now.point + direction / stretch * 0.5**halving, *box)
            target = target.astype(np.float32).astype(np.float64)
            promised = float(slope @ ((target - now.point) * stretch))
            response = respond(problem, of, target, temperature)
            # a concave value rises by its slope at the end at least; where rows' float32 values
            # would not show what is promised, nothing else tells
            rise = float((of.taken(response) - of.limit) @ (target - now.point))
            if promised > FAINT * abs(height):
                rise = max(of.height(response, target) - height, rise)
            if promised > 0 and rise >= ARMIJO * promised:
                violation = of.violation(response, target)
                return Settled(target, response, violation, now.steps + 1, now.rise + rise)
        return None
