"""Pairs per second of each kernel on the generated small and medium instances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplace.kernels import api
from jaxplace.problem import Duals, compile_instance


KERNELS = {
    "respond": lambda p, d: api.respond(p, d, jnp.float32(1e-2)),
    "curvature of 16,384 rows": lambda p, d: api.curvature(
        p.take(np.arange(16_384)), d, jnp.float32(1e-2)
    ),
    "best 2 regions": lambda p, d: api.best_regions(p, d, k=2),
}


@pytest.mark.parametrize("name", ["small", "medium"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel(benchmark, instance_of, kernel, name):
    with jax.enable_x64(True):
        problem = compile_instance(instance_of(name)).problem
        duals = Duals(jnp.full(problem.limit.shape, 0.1, jnp.float32))
        benchmark.pedantic(
            lambda: jax.block_until_ready(KERNELS[kernel](problem, duals)),
            rounds=5,
            warmup_rounds=1,
        )
    rows = 16_384 if kernel.startswith("curvature") else problem.size
    pairs = rows * problem.regions
    benchmark.extra_info |= {
        "pairs": pairs,
        "pairs_per_s": pairs / benchmark.stats.stats.median,
        "backend": api.backend(),
    }
