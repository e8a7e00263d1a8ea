"""What the shared contract cannot see of the Pallas kernels: tiles, parts, the GPU's compiler."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from instances import FEATURES, random_instance

from jaxplace.kernels import pallas, xla
from jaxplace.problem import Duals, Problem, compile_instance


pytestmark = pytest.mark.usefixtures("x64")

INTERPRET = jax.default_backend() == "cpu"
SMALL = pallas.Shape(rows=64, regions=16)
jit = partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0} if INTERPRET else None
)


def case(n: int = 1300, m: int = 70, seed: int = 3, **changed) -> tuple[Problem, Duals]:
    """A problem with every feature, several tiles of regions and a partly filled last block."""
    instance = random_instance(seed, n=n, m=m, features=FEATURES)
    problem = compile_instance(replace(instance, **changed)).problem
    capacity = np.random.default_rng(seed).exponential(0.3, problem.limit.shape)
    on = np.isfinite(problem.budgets)
    budgets = (jnp.float32(0.2) if is_on else None for is_on in on)
    return problem, Duals(jnp.asarray(capacity, jnp.float32), *budgets)


@cache
def compiled(function, programs=pallas.PROGRAMS, **kwargs):
    """One operation of the Pallas backend; `programs`: what its loads are cut by."""
    del programs  # of the cache's key: the module's constant is read while tracing
    if function is pallas.respond:
        kwargs["sums_shape"] = SMALL
    return jit(partial(function, shape=SMALL, interpret=INTERPRET, **kwargs))


specification = jit(xla.respond)


def call(function, problem, duals, *args, **kwargs):
    """An operation's answer."""
    operation = compiled(function, programs=pallas.PROGRAMS, **kwargs)
    return operation(problem.rows, problem.tables, duals, *args)


def assert_same(found, wanted, rtol=1e-4):
    """Two responses agree, up to the rounding of float32 reduced costs over the temperature."""
    for name, value in found._asdict().items():
        other = np.asarray(getattr(wanted, name))
        scale = np.abs(other).max() + 1e-9
        if name == "regret":  # a difference of costs
            scale += 1e-3 * float(wanted.exact)
        np.testing.assert_allclose(value, other, rtol=rtol, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("temperature", [1.0, 1e-2])
def test_tiles_and_parts_add_up(temperature):
    """Five tiles of regions and three parts of rows."""
    problem, duals = case()
    assert problem.limit.shape[0] // SMALL.regions == 5
    assert problem.rows.weight.shape[0] // 512 == 3
    found = call(pallas.respond, problem, duals, jnp.float32(temperature))
    wanted = specification(problem.rows, problem.tables, duals, jnp.float32(temperature))
    assert_same(found, wanted)


def test_the_running_minimum_may_fall_late():
    """The cheapest region is the last: every sum so far is rescaled, and nothing is lost."""
    problem, duals = case()
    price = problem.tables.energy.copy()
    price[:, problem.regions - 1] -= 50.0
    tables = problem.tables._replace(energy=price)
    problem = replace(problem, tables=tables)
    found = call(pallas.respond, problem, duals, jnp.float32(0.1))
    assert_same(found, specification(problem.rows, tables, duals, jnp.float32(0.1)))


def test_a_part_may_be_short(monkeypatch):
    """Parts of two blocks each over three blocks: the last one has one."""
    monkeypatch.setattr(pallas, "PROGRAMS", 7)
    problem, duals = case()
    found = call(pallas.respond, problem, duals, jnp.float32(0.1))
    assert_same(found, specification(problem.rows, problem.tables, duals, jnp.float32(0.1)))


def test_penalties_beyond_all_costs():
    """Rows that nobody serves keep their 1e30, whatever is barred costs more."""
    problem, duals = case()
    rows = problem.rows._replace(unplaced=jnp.full_like(problem.rows.unplaced, 1e30))
    problem = replace(problem, rows=rows)
    found = call(pallas.respond, problem, duals, jnp.float32(1e-3))
    wanted = specification(rows, problem.tables, duals, jnp.float32(1e-3))
    assert np.isfinite(found.load).all()
    assert_same(found, wanted, rtol=1e-4)


def test_the_same_input_gives_the_same_bits():
    """No sum depends on the order in which programs end."""
    problem, duals = case()
    first, second = (call(pallas.respond, problem, duals, jnp.float32(0.1)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize("k", [1, 3])
def test_best_regions_over_tiles(k):
    """The same regions as the specification finds, over several tiles."""
    problem, duals = case()
    region, reduced = call(pallas.best_regions, problem, duals, k=k)
    where, wanted = jit(partial(xla.best_regions, k=k))(problem.rows, problem.tables, duals)
    np.testing.assert_allclose(reduced, wanted, rtol=1e-5, atol=1e-6)
    clear = np.isfinite(wanted).all(1)
    assert (np.asarray(region)[clear] == np.asarray(where)[clear]).mean() > 0.999


def test_tiles_divide_the_regions():
    """Any padded number of regions is cut into whole tiles."""
    for m in (16, 48, 80, 224, 1024, 1280, 4096):
        width = pallas._divisor(m, pallas.SHAPE.regions)
        assert m % width == 0
        assert width >= 16


@pytest.mark.skipif(jax.__version_info__ >= (0, 11), reason="JAX 0.11 asks for a GPU to lower for")
def test_the_kernels_lower_for_a_gpu():
    """Every operation in them has a rule for NVIDIA GPUs; no GPU is needed for that."""
    problem, duals = case(n=40)
    for function, args in (
        (pallas.respond, (jnp.float32(0.1),)),
        (partial(pallas.best_regions, k=2), ()),
    ):
        traced = jax.jit(function).trace(problem.rows, problem.tables, duals, *args)
        assert "triton" in traced.lower(lowering_platforms=("cuda",)).as_text()
