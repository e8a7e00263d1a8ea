"""The kernels where JAX computes: XLA's programs or Pallas', and matrices that stay there.

JAX takes a while to load, so nothing imports this module before an instance needs it.
"""

from dataclasses import dataclass
from functools import partial
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from jaxplace import runtime
from jaxplace.kernels import xla
from jaxplace.kernels.response import Response
from jaxplace.problem.problem import Duals, Problem, Rows, Tables


runtime.count_compilations()


def respond(problem: Problem, duals: Duals, temperature: float) -> Response:
    """See `xla.respond`."""
    with jax.enable_x64(True):
        return _respond(problem.rows, problem.tables, duals, jnp.float32(temperature))


def curvature(problem: Problem, duals: Duals, temperature: float) -> "np.ndarray | Matrix":
    """See `xla.curvature`; on CPUs an array of the host."""
    with jax.enable_x64(True):
        matrix = _curvature(problem.rows, problem.tables, duals, jnp.float32(temperature))
    return np.asarray(matrix) if runtime.platform() == "cpu" else Matrix(matrix)


def best_regions(problem: Problem, duals: Duals, *, k: int) -> tuple[jax.Array, jax.Array]:
    """See `xla.best_regions`."""
    with jax.enable_x64(True):
        return _best_regions(problem.rows, problem.tables, duals, k=k)


def draw(problem: Problem, duals: Duals, temperature: float, chance: np.ndarray) -> np.ndarray:
    """See `xla.draw`."""
    with jax.enable_x64(True):
        spread = np.float32(temperature)
        return np.asarray(_draw(problem.rows, problem.tables, duals, spread, chance))


def reduced_costs(problem: Problem, duals: Duals) -> jax.Array:
    """See `xla.reduced_costs`."""
    with jax.enable_x64(True):
        return _reduced_costs(problem.rows, problem.tables, duals)


@dataclass(frozen=True)
class Matrix:
    """A symmetric matrix [q, q] float64 on the device; vectors come from the host and go there."""

    values: jax.Array

    def diagonal(self) -> np.ndarray:
        """[q] float64."""
        with jax.enable_x64(True):
            return np.asarray(self.values.diagonal())

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        """[q] float64."""
        with jax.enable_x64(True):
            return np.asarray(self.values @ vector)

    def solve(
        self,
        extra: np.ndarray,
        right: np.ndarray,
        free: np.ndarray,
        *,
        iterations: int | None = None,
        left: float = 0.0,
    ) -> np.ndarray:
        """What solves the free rows of (matrix + extra) x = right, 0 elsewhere.

        Args:
            extra: [q] added to the diagonal.
            right: [q], 0 where not `free`.
            free: [q] bool.
            iterations: of conjugate gradients, at most; without, the matrix is factorised.
            left: share of `right` that conjugate gradients may leave over.
        """
        with jax.enable_x64(True):
            return np.asarray(_solved(self.values, extra, right, free, left, iterations=iterations))


def _backend() -> ModuleType:
    if runtime.platform() != "gpu":
        return xla
    from jaxplace.kernels import pallas  # Pallas takes a while to import

    return pallas


@jax.jit
def _respond(rows: Rows, tables: Tables, duals: Duals, temperature: jax.Array) -> Response:
    return _backend().respond(rows, tables, duals, temperature)


@jax.jit
def _curvature(rows: Rows, tables: Tables, duals: Duals, temperature: jax.Array) -> jax.Array:
    return _backend().curvature(rows, tables, duals, temperature)


@partial(jax.jit, static_argnames="k")
def _best_regions(
    rows: Rows, tables: Tables, duals: Duals, *, k: int
) -> tuple[jax.Array, jax.Array]:
    return _backend().best_regions(rows, tables, duals, k=k)


_draw = jax.jit(xla.draw)
_reduced_costs = jax.jit(xla.reduced_costs)


@partial(jax.jit, static_argnames="iterations")
def _solved(
    matrix: jax.Array,
    extra: jax.Array,
    right: jax.Array,
    free: jax.Array,
    left: float,
    *,
    iterations: int | None,
) -> jax.Array:
    stiff = jnp.maximum(matrix.diagonal() + extra, 1e-300)
    if iterations is None:
        part = jnp.where(jnp.outer(free, free), matrix, 0.0)
        part = part.at[jnp.diag_indices_from(part)].set(jnp.where(free, stiff, 1.0))
        found = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(part), right)
        return jnp.where(jnp.isfinite(found).all(), found, 0.0)
    found, _ = jax.scipy.sparse.linalg.cg(
        lambda x: jnp.where(free, matrix @ x + extra * x, 0.0),
        right, tol=left, maxiter=iterations, M=lambda x: x / stiff,
    )  # fmt: skip
    return found
