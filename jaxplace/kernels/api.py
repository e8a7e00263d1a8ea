"""The one door to the hardware: every method here is made of these operations.

The instance and the platform decide who answers: `host` for terms by class on CPUs, `xla` for
dense instances, and everywhere else.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxplace.kernels import host, xla
from jaxplace.kernels.response import Response
from jaxplace.problem.problem import Duals, Problem


__all__ = ["Response", "backend", "best_regions", "curvature", "reduced_costs", "respond"]


def backend() -> str:
    """The implementation in use and the platform that it runs on."""
    platform = jax.default_backend()
    return "compiled loops on cpu" if platform == "cpu" else f"xla on {platform}"


def _on_host(problem: Problem) -> bool:
    return problem.book is not None and jax.default_backend() == "cpu"


_respond = jax.jit(xla.respond)
_curvature = jax.jit(xla.curvature)
_reduced_costs = jax.jit(xla.reduced_costs)
_best_regions = partial(jax.jit, static_argnames="k")(xla.best_regions)


def respond(problem: Problem, duals: Duals, temperature: float) -> Response:
    """Smoothed value, exact value, regret and loads of all rows at given duals."""
    if _on_host(problem):
        return host.respond(problem.rows, problem.tables, problem.book.menus, duals, temperature)
    return _respond(problem.rows, problem.tables, duals, jnp.float32(temperature))


def curvature(problem: Problem, duals: Duals, temperature: float) -> jax.Array | np.ndarray:
    """Minus the Hessian of the smoothed value, [q, q] float64."""
    if _on_host(problem):
        return host.curvature(problem.rows, problem.tables, problem.book.menus, duals, temperature)
    return _curvature(problem.rows, problem.tables, duals, jnp.float32(temperature))


def best_regions(
    problem: Problem, duals: Duals, *, k: int
) -> tuple[jax.Array | np.ndarray, jax.Array | np.ndarray]:
    """The k regions of least reduced cost of each row, and those costs, in rising order."""
    if _on_host(problem):
        return host.best_regions(problem.rows, problem.tables, problem.book.menus, duals, k=k)
    return _best_regions(problem.rows, problem.tables, duals, k=k)


def reduced_costs(problem: Problem, duals: Duals) -> jax.Array:
    """All reduced costs [N, m] float32 of a problem of few rows; inf where not allowed."""
    return _reduced_costs(problem.rows, problem.tables, duals)
