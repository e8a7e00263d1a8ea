"""The one door to the hardware: every method here is made of these operations.

The instance and the platform decide who answers: `host` for terms by class on CPUs, `pallas` on
GPUs, `xla` for dense instances and everywhere else.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from jaxplace import runtime
from jaxplace.kernels import host
from jaxplace.kernels.host import lists
from jaxplace.kernels.host.covariance import Covariance
from jaxplace.kernels.response import Response
from jaxplace.problem.problem import Duals, Problem


if TYPE_CHECKING:
    import jax

    from jaxplace.kernels.device import Matrix

__all__ = [
    "Covariance",
    "Response",
    "backend",
    "best_regions",
    "curvature",
    "draw",
    "reduced_costs",
    "respond",
    "servable",
    "shortlist",
]


def backend() -> str:
    """The implementation in use and the platform that it runs on."""
    platform = runtime.platform()
    return f"{({'cpu': 'compiled loops', 'gpu': 'pallas'}).get(platform, 'xla')} on {platform}"


def _on_host(problem: Problem) -> bool:
    return problem.book is not None and runtime.platform() == "cpu"


def respond(problem: Problem, duals: Duals, temperature: float) -> Response:
    """Smoothed value, exact value, regret and loads of all rows at given duals."""
    if problem.lists is not None:
        return lists.respond(problem, duals, temperature)
    if _on_host(problem):
        return host.respond(problem.rows, problem.tables, problem.book.menus, duals, temperature)
    from jaxplace.kernels import device  # loads JAX

    return device.respond(problem, duals, temperature)


def curvature(
    problem: Problem, duals: Duals, temperature: float, *, dense: bool = True
) -> "np.ndarray | Covariance | Matrix":
    """Minus the Hessian of the smoothed value, [q, q] float64; the host's array on CPUs.

    Without `dense`, where many duals make a matrix dear, the host gives what it is the sum of.
    """
    if problem.lists is not None:
        found = lists.curvature(problem, duals, temperature)
    elif _on_host(problem):
        found = host.curvature(problem.rows, problem.tables, problem.book.menus, duals, temperature)
    else:
        from jaxplace.kernels import device  # loads JAX

        return device.curvature(problem, duals, temperature)
    return found.dense() if dense else found


def best_regions(
    problem: Problem, duals: Duals, *, k: int
) -> "tuple[np.ndarray, np.ndarray] | tuple[jax.Array, jax.Array]":
    """The k regions of least reduced cost of each row, and those costs, in rising order."""
    if _on_host(problem):
        return host.best_regions(problem.rows, problem.tables, problem.book.menus, duals, k=k)
    from jaxplace.kernels import device  # loads JAX

    return device.best_regions(problem, duals, k=k)


def draw(problem: Problem, duals: Duals, temperature: float, chance: np.ndarray) -> np.ndarray:
    """[n] int32 a region for each row, drawn from the smoothed plan's shares; -1 unplaced.

    Args:
        problem: n rows.
        duals: where the plan is taken.
        temperature: of the plan.
        chance: [n] in [0, 1), where on the row's shares, laid end to end, its region lies.
    """
    padded = np.zeros(len(problem.rows.weight), np.float32)
    padded[: problem.size] = chance
    if _on_host(problem):
        menus = problem.book.menus
        found = host.draw(problem.rows, problem.tables, menus, duals, temperature, padded)
    else:
        from jaxplace.kernels import device  # loads JAX

        found = device.draw(problem, duals, temperature, padded)
    return found[: problem.size]


def servable(problem: Problem) -> np.ndarray:
    """[N] bool: the rows that some region allows."""
    if _on_host(problem):
        menus = problem.book.menus
        return host.servable(problem.rows, problem.tables, menus, size=problem.size)
    from jaxplace.kernels import device  # loads JAX

    moves, carbon = (np.float32(0) if on else None for on in np.isfinite(problem.budgets))
    nothing = Duals(np.zeros(problem.limit.shape, np.float32), moves, carbon)
    _, reduced = device.best_regions(problem, nothing, k=1)
    return np.isfinite(np.asarray(reduced)[:, 0])


def shortlist(problem: Problem, duals: Duals, *, k: int) -> Problem:
    """The problem with only about k regions for each row, its cheapest; or the problem itself.

    Itself where passes over all regions cost less than lists do: with few regions, on
    accelerators, and for dense instances.
    """
    if not _on_host(problem) or problem.regions < 2 * k:
        return problem
    lists = host.shortlist(
        problem.rows, problem.tables, problem.book.menus, duals, k=k, size=problem.size
    )
    return replace(problem, lists=lists)


def reduced_costs(problem: Problem, duals: Duals) -> "jax.Array":
    """All reduced costs [N, m] float32 of a problem of few rows; inf where not allowed."""
    from jaxplace.kernels import device  # loads JAX

    return device.reduced_costs(problem, duals)
