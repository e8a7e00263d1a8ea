"""From an instance to what the kernels see, and back."""

from dataclasses import replace

import numpy as np
import pytest
from instances import FEATURES, dense_instance, random_instance
from laws import with_rows

from jaxplace import evaluate
from jaxplace.instance import Instance
from jaxplace.kernels import api as kernels
from jaxplace.problem import Compiled, Duals, compile_instance


pytestmark = pytest.mark.usefixtures("x64")

KINDS = {
    "every feature": lambda seed: random_instance(seed),
    "no feature": lambda seed: random_instance(seed, features=()),
    "dense": lambda seed: dense_instance(seed, n=40, m=8),
    "dense, two resources": lambda seed: dense_instance(seed, n=40, m=8, resources=2),
}


def free(compiled: Compiled) -> Duals:
    """Duals of 0."""
    on = np.isfinite(compiled.problem.budgets)
    budgets = [np.float32(0) if is_on else None for is_on in on]
    return Duals(np.zeros(compiled.problem.limit.shape, np.float32), *budgets)


def seen_mask(compiled: Compiled) -> np.ndarray:
    """Bool [n, m] in the instance's order: the pairs that the kernels think allowed."""
    instance = compiled.pairs.instance
    columns = compiled.problem.limit.shape[0]
    region, reduced = kernels.best_regions(compiled.problem, free(compiled), k=columns)
    region, reduced = np.asarray(region), np.asarray(reduced)
    mask = np.zeros((instance.rows, columns), bool)
    row, k = np.nonzero(np.isfinite(reduced[: instance.rows]))
    mask[compiled.order[row], region[row, k]] = True
    assert not mask[:, instance.regions :].any()
    return mask[:, : instance.regions]


def wanted_mask(instance: Instance) -> np.ndarray:
    """What CONTRACT section 1 allows."""
    return evaluate.allowed(instance, np.arange(instance.rows))


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_undoes_the_sorting(kind):
    """`order` is a permutation that leads every problem row back to the instance's."""
    instance = replace(KINDS[kind](3), count=np.arange(1, 41))  # a row is known by its count
    compiled = compile_instance(instance)
    assert sorted(compiled.order) == list(range(instance.rows))
    weight = np.asarray(compiled.problem.rows.weight)
    np.testing.assert_array_equal(weight[: instance.rows], instance.count[compiled.order])
    np.testing.assert_array_equal(weight[instance.rows :], 0)
    penalty = np.asarray(compiled.problem.rows.unplaced, float) * compiled.problem.scaling.cost
    np.testing.assert_allclose(
        penalty[: instance.rows], instance.unplaced[compiled.order], rtol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_padding_takes_nothing(kind):
    """Padding regions carry no load, whatever the temperature."""
    compiled = compile_instance(KINDS[kind](1))
    for temperature in (1e-3, 100.0):
        response = kernels.respond(compiled.problem, free(compiled), np.float32(temperature))
        load = np.asarray(response.load)
        assert load[: compiled.problem.regions].sum() > 0
        np.testing.assert_array_equal(load[compiled.problem.regions :], 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_the_contract_s(kind, seed):
    """The pairs that the kernels allow are those that the certificate allows, exactly."""
    instance = KINDS[kind](seed)
    np.testing.assert_array_equal(seen_mask(compile_instance(instance)), wanted_mask(instance))


@pytest.mark.parametrize("without", sorted(FEATURES))
def test_the_mask_with_each_feature_left_out(without):
    """The same where tables are left out because nothing needs them."""
    instance = random_instance(7, features=FEATURES - {without})
    np.testing.assert_array_equal(seen_mask(compile_instance(instance)), wanted_mask(instance))


@pytest.mark.parametrize("seed", range(3))
def test_latency_ties_are_decided_in_float64(seed):
    """A budget that is met to the last bit passes; one float less does not."""
    instance = random_instance(seed, features={"latency", "hosting"})
    terms, rng = instance.terms, np.random.default_rng(seed)
    rows = np.arange(instance.rows)
    chosen = rng.integers(0, instance.regions, instance.rows)
    time = terms.rtt_ms[terms.origin, chosen] * (1 + instance.policy.latency_margin)
    time = time + terms.service_ms[terms.workload, chosen]
    near = np.where(rows % 2 == 0, time, np.nextafter(time, -np.inf))
    near = np.where(np.isfinite(time), near, 100.0)
    instance = replace(instance, terms=replace(terms, latency_budget_ms=near))
    wanted = wanted_mask(instance)
    assert not wanted[rows, chosen][rows % 2 == 1].any()
    assert wanted[rows, chosen].any()
    np.testing.assert_array_equal(seen_mask(compile_instance(instance)), wanted)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("features", [(), ("hosting",), ("hosting", "two_resources")])
def test_size_ties_are_decided_in_float64(features, seed):
    """A unit that fits to the last bit fits; one that is a float larger does not."""
    instance = random_instance(seed, features=features)
    factor = instance.terms.use_factor[instance.terms.workload]
    capacity = instance.capacity.copy()
    for j in range(instance.regions):  # each region is as large as some row's use there, or less
        i = (7 * j + seed) % instance.rows
        exact = instance.use[i] * factor[i, j]
        capacity[j] = exact if j % 2 else np.nextafter(exact, 0.0)
    instance = replace(instance, capacity=capacity)
    wanted = wanted_mask(instance)
    assert 0.05 < wanted.mean() < 0.95
    np.testing.assert_array_equal(seen_mask(compile_instance(instance)), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_what_the_certificate_computes(kind):
    """Cost, use, budget use and mask of pairs on the host agree with the reference."""
    instance = KINDS[kind](2)
    pairs = compile_instance(instance).pairs
    row, region = (x.ravel() for x in np.indices((instance.rows, instance.regions)))
    part = evaluate.parts(instance, row, region)
    ok = evaluate.allowed(instance, row, region)
    np.testing.assert_array_equal(pairs.allowed(row, region), ok)
    wanted = sum(part.cost.values())
    np.testing.assert_allclose(pairs.cost(row, region)[ok], wanted[ok], rtol=1e-12, atol=1e-15)
    for r in range(len(instance.resources)):
        found = pairs.use(row, region)[:, r]
        np.testing.assert_array_equal(found, evaluate.use(instance, r, row, region))
    budget = pairs.budget_use(row, region)
    np.testing.assert_array_equal(budget[:, 0], part.move)
    np.testing.assert_allclose(budget[:, 1], part.kg, rtol=1e-12)


def test_pairs_broadcast():
    """A column of rows against a block of regions is a block."""
    instance = random_instance(0)
    pairs = compile_instance(instance).pairs
    rows, regions = np.arange(5)[:, None], np.arange(8)[None].repeat(5, 0)
    np.testing.assert_allclose(pairs.cost(rows, regions), evaluate.cost(instance, np.arange(5)))
    assert pairs.use(rows, regions).shape == (5, 8, 2)
    assert pairs.budget_use(rows, regions).shape == (5, 8, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_some_rows_are_a_problem_again(kind):
    """`take` keeps the rows asked for, in that order, with their weights or those given."""
    compiled = compile_instance(KINDS[kind](4))
    index = np.array([5, 2, 17])
    part = compiled.problem.take(index, np.array([1.0, 2.5, 0.0]))
    assert part.size == 3
    np.testing.assert_array_equal(np.asarray(part.rows.weight)[:3], [1.0, 2.5, 0.0])
    assert not np.asarray(part.rows.weight)[3:].any()
    whole = kernels.best_regions(compiled.problem, free(compiled), k=3)
    some = kernels.best_regions(part, free(compiled), k=3)
    for a, b in zip(whole, some, strict=True):
        np.testing.assert_array_equal(np.asarray(a)[index], np.asarray(b)[:3])


def test_no_rows_compile():
    """An hour without requests is a problem of padding alone."""
    instance = with_rows(random_instance(0, features=()), [])
    compiled = compile_instance(instance)
    response = kernels.respond(compiled.problem, free(compiled), np.float32(0.1))
    assert float(response.exact) == 0
    assert not np.asarray(response.load).any()
