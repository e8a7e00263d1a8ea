"""The one door to the hardware: every method here is made of these operations.

The instance and the platform decide who answers: `host` for terms by class on CPUs, `pallas` on
GPUs, `xla` for dense instances and everywhere else.
"""

from dataclasses import replace
from functools import partial
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from jaxplace.kernels import host, xla
from jaxplace.kernels.host import lists
from jaxplace.kernels.host.covariance import Covariance
from jaxplace.kernels.response import Response
from jaxplace.problem.problem import Duals, Problem, Rows, Tables


__all__ = [
    "Covariance",
    "Response",
    "backend",
    "best_regions",
    "curvature",
    "reduced_costs",
    "respond",
    "shortlist",
]


def backend() -> str:
    """The implementation in use and the platform that it runs on."""
    platform = jax.default_backend()
    return f"{({'cpu': 'compiled loops', 'gpu': 'pallas'}).get(platform, 'xla')} on {platform}"


def _on_host(problem: Problem) -> bool:
    return problem.book is not None and jax.default_backend() == "cpu"


def _device() -> ModuleType:
    """The implementation for arrays on the device."""
    if jax.default_backend() != "gpu":
        return xla
    from jaxplace.kernels import pallas  # Pallas takes a while to import

    return pallas


@jax.jit
def _respond(rows: Rows, tables: Tables, duals: Duals, temperature: jax.Array) -> Response:
    return _device().respond(rows, tables, duals, temperature)


@jax.jit
def _curvature(rows: Rows, tables: Tables, duals: Duals, temperature: jax.Array) -> jax.Array:
    return _device().curvature(rows, tables, duals, temperature)


@partial(jax.jit, static_argnames="k")
def _best_regions(
    rows: Rows, tables: Tables, duals: Duals, *, k: int
) -> tuple[jax.Array, jax.Array]:
    return _device().best_regions(rows, tables, duals, k=k)


_reduced_costs = jax.jit(xla.reduced_costs)


def respond(problem: Problem, duals: Duals, temperature: float) -> Response:
    """Smoothed value, exact value, regret and loads of all rows at given duals."""
    if problem.lists is not None:
        return lists.respond(problem, duals, temperature)
    if _on_host(problem):
        return host.respond(problem.rows, problem.tables, problem.book.menus, duals, temperature)
    return _respond(problem.rows, problem.tables, duals, jnp.float32(temperature))


def curvature(
    problem: Problem, duals: Duals, temperature: float, *, dense: bool = True
) -> jax.Array | np.ndarray | Covariance:
    """Minus the Hessian of the smoothed value, [q, q] float64; the host's array on CPUs.

    Without `dense`, where many duals make a matrix dear, the host gives what it is the sum of.
    """
    if problem.lists is not None:
        found = lists.curvature(problem, duals, temperature)
    elif _on_host(problem):
        found = host.curvature(problem.rows, problem.tables, problem.book.menus, duals, temperature)
    else:
        matrix = _curvature(problem.rows, problem.tables, duals, jnp.float32(temperature))
        return np.asarray(matrix) if jax.default_backend() == "cpu" else matrix
    return found.dense() if dense else found


def best_regions(
    problem: Problem, duals: Duals, *, k: int
) -> tuple[jax.Array | np.ndarray, jax.Array | np.ndarray]:
    """The k regions of least reduced cost of each row, and those costs, in rising order."""
    if _on_host(problem):
        return host.best_regions(problem.rows, problem.tables, problem.book.menus, duals, k=k)
    return _best_regions(problem.rows, problem.tables, duals, k=k)


def shortlist(problem: Problem, duals: Duals, *, k: int) -> Problem:
    """The problem with only about k regions for each row, its cheapest; or the problem itself.

    Itself where passes over all regions cost less than lists do: with few regions, on
    accelerators, and for dense instances.
    """
    if not _on_host(problem) or problem.regions < 2 * k:
        return problem
    lists = host.shortlist(problem.rows, problem.tables, problem.book.menus, duals, k=k)
    return replace(problem, lists=lists)


def reduced_costs(problem: Problem, duals: Duals) -> jax.Array:
    """All reduced costs [N, m] float32 of a problem of few rows; inf where not allowed."""
    return _reduced_costs(problem.rows, problem.tables, duals)
