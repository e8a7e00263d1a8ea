"""The one door to the hardware: every method here is made of these three operations.

`auto` takes the best implementation for the platform; a named one is used or refused.  Today
there is one, `xla`.
"""

from functools import partial

import jax

from jaxplace.kernels import xla
from jaxplace.kernels.xla import Response
from jaxplace.problem.problem import Duals, Problem


__all__ = ["Response", "backend", "best_regions", "curvature", "reduced_costs", "respond"]


def backend() -> str:
    """The implementation in use and the platform that it runs on."""
    return f"xla on {jax.default_backend()}"


_respond = jax.jit(xla.respond)
_curvature = jax.jit(xla.curvature)
_reduced_costs = jax.jit(xla.reduced_costs)
_best_regions = partial(jax.jit, static_argnames="k")(xla.best_regions)


def respond(problem: Problem, duals: Duals, temperature: jax.Array) -> Response:
    """Smoothed value, exact value, regret and loads of all rows at given duals."""
    return _respond(problem.rows, problem.tables, duals, temperature)


def curvature(problem: Problem, duals: Duals, temperature: jax.Array) -> jax.Array:
    """Minus the Hessian of the smoothed value, [q, q] float64."""
    return _curvature(problem.rows, problem.tables, duals, temperature)


def best_regions(problem: Problem, duals: Duals, *, k: int) -> tuple[jax.Array, jax.Array]:
    """The k regions of least reduced cost of each row, and those costs, in rising order."""
    return _best_regions(problem.rows, problem.tables, duals, k=k)


def reduced_costs(problem: Problem, duals: Duals) -> jax.Array:
    """All reduced costs [N, m] float32 of a problem of few rows; inf where not allowed."""
    return _reduced_costs(problem.rows, problem.tables, duals)
