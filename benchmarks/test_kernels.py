"""Pairs per second of each kernel, beside what the machine can do.

    pytest benchmarks/test_kernels.py --benchmark-json=benchmarks/results/NAME.json

A pair is a (row, region).  All rows x regions are counted: what a kernel is spared is its gain;
`allowed` counts only those that the rules allow.  The limit is the best of a few loops of float32
exponentials and nothing else, on all threads; one exponential a pair is what a sweep cannot do
without.  Memory's limit is the best of a few copy loops.
"""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numba
import numpy as np
import pytest
from numba import float32, int32

from benchmarks.common import digest
from jaxplace.certify.bound import lower_bound
from jaxplace.kernels import api
from jaxplace.native import compiled, spread
from jaxplace.placement import Duals as Nothing
from jaxplace.problem import compile_instance
from jaxplace.relax import choose
from jaxplace.relax.anneal import anneal, begin
from jaxplace.relax.ascent import Constraints
from jaxplace.settings import SolverSettings


HOT, COLD = 1 / 16, 1e-4  # temperatures
NEAR = 2e-3  # temperature down to which the duals are relaxed first
CURVED = 16_384
KERNELS = {
    "respond, hot": lambda p, d: api.respond(p, d, HOT),
    "respond, cold": lambda p, d: api.respond(p, d, COLD),
    "curvature of 16,384 rows": lambda p, d: api.curvature(p, d, COLD),
    "best 2 regions": lambda p, d: api.best_regions(p, d, k=2),
}
BACKENDS = {"small": ["host", "xla"], "medium": ["host", "xla"], "large": ["host"]}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("name", "backend"), [(n, b) for n, some in BACKENDS.items() for b in some]
)
def test_kernel(benchmark, relaxed, limits, kernel, name, backend):
    problem, duals, allowed, sha = relaxed(name)
    if kernel.startswith("curvature"):  # of rows that are spread evenly, as of a sample
        some = np.linspace(0, problem.size - 1, min(CURVED, problem.size)).astype(int)
        allowed, problem = allowed * len(some) // problem.size, problem.take(some)
    if backend == "xla":
        problem = dataclasses.replace(problem, book=None)
    with jax.enable_x64(True):
        benchmark.pedantic(
            lambda: jax.block_until_ready(KERNELS[kernel](problem, duals)),
            rounds=3 if backend == "xla" else 7,
            warmup_rounds=1,
        )
    seconds = benchmark.stats.stats.median
    pairs = problem.size * problem.regions
    row_bytes = sum(field.nbytes for field in jax.tree.leaves(problem.rows))
    exp, copy = max(limits["exp_per_s"].values()), max(limits["copy_bytes_per_s"].values())
    benchmark.extra_info |= {
        "kind": "kernel",
        "kernel": kernel,
        "scenario": name,
        "scenario_sha256": sha,
        "backend": backend,
        "rows": problem.size,
        "regions": problem.regions,
        "allowed_pairs": allowed,
        "seconds": seconds,
        "pairs_per_s": pairs / seconds,
        "allowed_pairs_per_s": allowed / seconds,
        "share_of_exp_limit": pairs / seconds / exp,
        "share_of_exp_limit_allowed": allowed / seconds / exp,
        "share_of_copy_limit": row_bytes / seconds / copy,
        "limits": limits,
    }


@pytest.fixture(scope="session")
def relaxed(instance_of, scenarios):
    """A function from a name to a problem, duals that are nearly its own, and its allowed pairs."""
    made = {}

    def get(name):
        if name not in made:
            made.clear()
            instance = instance_of(name)
            with jax.enable_x64(True):
                problem = compile_instance(instance).problem
                method = choose(SolverSettings(), duals=problem.limit.size)
                state = anneal(problem, begin(problem), method, regret=0.0, seed=0,
                    watch=lambda now: now.temperature <= NEAR)  # fmt: skip
            nothing = Nothing(np.zeros_like(instance.capacity))
            made[name] = (
                problem,
                Constraints.of(problem).duals(state.point),
                lower_bound(instance, nothing).allowed_pairs,
                digest(scenarios.get(name)),
            )
        return made[name]

    return get


EXPS = 16  # exponentials of each value
VALUES, COPIED = 1 << 22, 1 << 26  # float32


@pytest.fixture(scope="session")
def limits():
    """Exponentials per second and bytes copied per second, by formulation."""
    values = np.random.default_rng(0).random(VALUES, np.float32)
    source, target = np.ones(COPIED, np.float32), np.ones(COPIED, np.float32)
    on_device, wide = jnp.asarray(values), jnp.asarray(source)

    @jax.jit
    def sum_of_exps(x):
        return sum(jnp.exp(x * np.float32(-0.1 * k - 0.1)) for k in range(EXPS))

    @jax.jit
    def exp_then_sum(x):
        return jnp.exp(-x).sum()

    plus = jax.jit(lambda x: x + 1)

    def polynomial(start, stop):
        for at in range(start, stop, 16_384):
            _exps(values[at : min(at + 16_384, stop)], EXPS)

    exps = {
        "XLA, 16 exponentials of each value": (
            EXPS, lambda: jax.block_until_ready(sum_of_exps(on_device))),
        "XLA, exponential and sum": (1, lambda: jax.block_until_ready(exp_then_sum(on_device))),
        "Numba, polynomial": (EXPS, lambda: spread(polynomial, VALUES, chunks=16)),
    }  # fmt: skip
    copies = {
        "XLA": lambda: jax.block_until_ready(plus(wide)),
        "Numba": lambda: spread(lambda a, b: _copy(source[a:b], target[a:b]), COPIED, chunks=16),
        "NumPy": lambda: np.copyto(target, source),
    }
    return {
        "exp_per_s": {k: VALUES * n / _fastest(work) for k, (n, work) in exps.items()},
        "copy_bytes_per_s": {k: 2 * source.nbytes / _fastest(w) for k, w in copies.items()},
    }


def _fastest(work, repeats=9):
    """Least seconds of a call, after a first one."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


# (2^f - 1) / f on (-1, 0] in falling powers; error 1e-8 of 2^f
POWERS = tuple(
    np.float32(c)
    for c in (1.14981188e-4, 1.29179035e-3, 9.59716991e-3, 5.54992779e-2, 0.240226098, 0.693147175)
)
C5, C4, C3, C2, C1, C0 = POWERS
ONE, BIAS, SHIFT = np.float32(1), np.int32(127), np.int32(23)


@numba.njit(inline="always", fastmath=True)
def _exp2(z):
    """2**z for z in [-126, 0]."""
    whole = int32(z)
    f = z - float32(whole)
    poly = ((((C5 * f + C4) * f + C3) * f + C2) * f + C1) * f + C0
    return (poly * f + ONE) * np.int32((whole + BIAS) << SHIFT).view(np.float32)


def _exps(values, rounds):
    total = float32(0)
    for r in range(rounds):
        slope = float32(-1) / float32(r + 1)
        for i in range(len(values)):
            total += _exp2(values[i] * slope)
    return total


def _copy(source, target):
    for i in range(len(source)):
        target[i] = source[i]


_exps, _copy = compiled(_exps, fast=True), compiled(_copy)
