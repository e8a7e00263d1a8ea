"""MPAX: restarted Halpern primal-dual hybrid gradients in JAX, on the relaxation.

References:
    Lu, Peng and Yang, MPAX: Mathematical programming in JAX, 2024.
"""

import time
from importlib import metadata

import numpy as np

from jaxplace.compare.answer import Answer, Task
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Pdlp


FIRST, MORE = 100, 2  # iterations of the first run, and how many times longer the next one is
SLOWER = 1.2  # a run is begun only if it should end in time, with this reserve


def relaxation(task: Task) -> Answer:
    """The relaxation to fractional units; MPAX has no time limit, so it runs in growing pieces."""
    import jax
    import jax.numpy as jnp
    from jax.experimental import sparse
    from mpax import create_lp, r2HPDHG

    settings: Pdlp = task.settings
    jax.config.update("jax_enable_x64", True)
    model = Model.of(task.instance)
    k, size = len(model.count), len(model.row)
    matrix = model.matrix()
    sums, limits = (
        sparse.BCOO.from_scipy_sparse(part.tocoo()) for part in (matrix[:k], -matrix[k:])
    )
    program = create_lp(
        jnp.asarray(model.cost), sums, jnp.asarray(model.count), limits, jnp.asarray(-model.limit),
        jnp.zeros(size), jnp.full(size, jnp.inf),
    )  # fmt: skip
    values, duals, steps, done = None, None, FIRST, False
    while True:
        begun = time.perf_counter()
        solver = r2HPDHG(
            eps_abs=settings.tolerance,
            eps_rel=settings.tolerance,
            iteration_limit=steps,
            warm_start=values is not None,
        )
        found = solver.optimize(program, values, duals)
        values, duals = found.primal_solution, found.dual_solution
        jax.block_until_ready(values)
        spent = time.perf_counter() - begun
        done = int(found.termination_status) == _optimal()
        if done or SLOWER * MORE * spent > task.left():
            break
        steps *= MORE
    x = np.asarray(values)
    return Answer(
        fraction=model.fraction(x),
        duals=model.duals(np.asarray(duals)[k:]),
        claimed_usd=float(model.cost @ x) * model.usd,
        done=done,
        versions={"mpax": metadata.version("mpax"), "jax": jax.__version__},
    )


def _optimal() -> int:
    """MPAX's code for an optimum."""
    from mpax.utils import TerminationStatus

    return int(TerminationStatus.OPTIMAL)
