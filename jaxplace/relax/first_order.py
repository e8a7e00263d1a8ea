"""L-BFGS ascent of the smoothed semi-dual (optax), for more duals than can be factorised."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxplace.problem import Problem
from jaxplace.relax.ascent import AbstractAscent, Constraints, Report, Settled, respond


@dataclass(frozen=True)
class FirstOrder(AbstractAscent):
    """Limited-memory BFGS on the square roots of the duals, which keeps them >= 0.

    Attributes:
        max_steps: passes over the rows at one temperature, >= 1.
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
    ) -> Settled:
        """See `AbstractAscent.settle`."""
        of = Constraints.of(problem)
        raise NotImplementedError
