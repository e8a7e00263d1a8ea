"""The relaxation's proven bound against HiGHS, feature by feature, and at the edges."""

from dataclasses import replace

import numpy as np
import pytest
from highs import lp_optimum
from instances import FEATURES, dense_instance, random_instance
from laws import with_rows

from jaxplace import pipeline
from jaxplace.instance import DenseTerms, Instance
from jaxplace.pipeline import solve
from jaxplace.problem import compile_instance
from jaxplace.relax import anneal, choose
from jaxplace.relax.ascent import Constraints, respond
from jaxplace.settings import Method, Settings, SolverSettings


TIGHT = Settings(gap_target=1e-4)  # so that the relaxation goes as far as it can


def share_lost(instance: Instance, settings: Settings = TIGHT) -> float:
    """By how much the certified bound is below the LP's optimum, unservable units left out."""
    certificate = solve(instance, settings).certificate
    optimum = lp_optimum(instance)
    lost = optimum - certificate.lower_bound_usd
    assert lost >= -1e-7 * abs(optimum), "the bound is above the LP's optimum: it is none"
    left = optimum - certificate.unservable_usd
    return lost / abs(left) if abs(left) > 1e-9 * abs(optimum) else lost / max(abs(optimum), 1e-300)


def simple(cost: np.ndarray, use: np.ndarray, capacity: np.ndarray, **more: object) -> Instance:
    """`from_arrays`, shorter."""
    return Instance.from_arrays(cost=cost, use=use, capacity=capacity, **more)


def costs(n: int = 40, m: int = 8, seed: int = 0) -> np.ndarray:
    """Random costs."""
    return np.random.default_rng(seed).uniform(1.0, 9.0, (n, m))


@pytest.mark.parametrize("feature", [*sorted(FEATURES), None])
def test_the_bound_meets_the_lp_with_each_feature(feature):
    """One feature alone: the certified bound is within 1e-4 of the LP's optimum, and below it."""
    instance = random_instance(11, features={feature} if feature else ())
    assert share_lost(instance) <= 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_meets_the_lp_with_all_features(seed):
    """All features at once, with both budgets binding."""
    assert share_lost(random_instance(seed)) <= 1e-4


@pytest.mark.parametrize("tightness", [0.3, 1.0, 2.0, 10.0])
def test_the_bound_meets_the_lp_however_tight(tightness):
    """From plenty of room to ten times the demand that fits."""
    assert share_lost(random_instance(5, features={"counts"}, tightness=tightness)) <= 1e-4


@pytest.mark.parametrize("resources", [1, 2])
@pytest.mark.parametrize("pair_use", [True, False])
def test_the_bound_meets_the_lp_of_dense_instances(resources, pair_use):
    """Use by row or by pair, one resource or two."""
    instance = dense_instance(2, n=40, m=8, resources=resources, pair_use=pair_use)
    assert share_lost(instance) <= 1e-4


@pytest.mark.parametrize("seed", range(2))
def test_first_order_finds_the_same_bound(seed):
    """The method for many duals, within 1e-3."""
    settings = replace(TIGHT, solver=SolverSettings(method=Method.first_order, max_steps=5000))
    assert share_lost(random_instance(seed), settings) <= 1e-3
    assert share_lost(dense_instance(seed, n=40, m=8, resources=2), settings) <= 1e-3


def test_a_single_region():
    """Who stays out of one full region is a fractional knapsack."""
    use = np.random.default_rng(0).uniform(0.5, 2.0, 40)
    assert share_lost(simple(costs(m=1), use, np.array([10.0]), unplaced=20.0)) <= 1e-4


def test_no_capacity_anywhere():
    """Everything is unservable, and the bound says so."""
    instance = simple(costs(), np.ones(40), np.zeros(8))
    found = solve(instance, TIGHT).certificate
    assert found.unservable == 40
    assert found.lower_bound_usd == pytest.approx(found.objective_usd)


def test_capacity_that_no_two_units_share():
    """Each region has room for one unit; the others stay out."""
    assert share_lost(simple(costs(), np.ones(40), np.ones(8))) <= 1e-4


def test_identical_rows():
    """All rows tie: the plan splits them, the bound is the LP's all the same."""
    instance = simple(np.tile(costs(n=1), (40, 1)), np.ones(40), np.full(8, 6.0))
    assert share_lost(instance) <= 1e-4


def test_requests_that_use_nothing():
    """They take no room, pay no duals, and go where they are cheapest."""
    use = np.where(np.arange(40) % 2, 0.0, 1.0)
    assert share_lost(simple(costs(), use, np.full(8, 1.5))) <= 1e-4


def test_uses_of_all_sizes():
    """Uses and costs over six orders of magnitude."""
    rng = np.random.default_rng(3)
    size = 10 ** rng.uniform(-3, 3, 40)
    instance = simple(
        costs() * size[:, None], size, np.full(8, size.sum() / 10), unplaced=20 * size
    )
    instance = replace(
        instance, terms=DenseTerms(instance.terms.cost, np.ones((40, 8), bool), None)
    )
    instance = replace(instance, capacity=np.maximum(instance.capacity, size.max()))
    assert share_lost(instance) <= 1e-4


def test_rows_beyond_the_first_sample():
    """Enough rows that the duals are found on samples first."""
    instance = random_instance(3, n=40_000)
    found = solve(instance, Settings(gap_target=1e-3)).certificate
    assert found.feasible
    assert found.gap <= 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_lists_that_say_too_little_grow(seed, monkeypatch):
    """Rows that know one region each foresee rises that the whole does not see."""
    monkeypatch.setattr(pipeline, "search", lambda *_, **__: None)  # only the bound is looked at
    instance, goal = random_instance(seed, n=3000), Settings(gap_target=1e-4)
    usual = solve(instance, goal).certificate
    monkeypatch.setattr(anneal, "FEW_ROWS", 2500)
    monkeypatch.setattr(anneal, "LISTED", 1)
    monkeypatch.setattr(anneal, "SAMPLED", 1)
    found = solve(instance, goal).certificate
    assert found.lower_bound_usd >= usual.lower_bound_usd * (1 - 1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_lists_that_mislead_are_left_when_duals_settle_again(seed, monkeypatch):
    """One region a row, from before half of the capacity went: the whole decides."""
    problem = compile_instance(random_instance(seed, n=3000, features={"counts"})).problem
    ascent = choose(SolverSettings(), duals=problem.limit.size)
    start = anneal.anneal(
        problem, anneal.begin(problem), ascent, regret=1e-2, watch=lambda now: False, seed=0
    )
    less = np.where(np.arange(len(problem.limit)) % 2, 0.3, 1.2)[:, None]
    problem = replace(problem, limit=problem.limit * less)
    part = problem.take(np.arange(0, problem.size, 2), 2 * problem.weight[::2])

    def height() -> float:
        found = anneal.reanneal(
            problem, part, start, ascent, heats=(16.0, 1.0), max_steps=15, worth=1e-5
        )
        of = Constraints.of(problem)
        return of.height(respond(problem, of, found.point, found.temperature), found.point)

    monkeypatch.setattr(anneal, "_listable", lambda *_: False)
    whole = height()
    monkeypatch.setattr(anneal, "_listable", lambda *_: True)
    monkeypatch.setattr(anneal, "LISTED", 1)
    assert height() >= whole - 1e-4 * abs(whole)


@pytest.mark.parametrize(
    ("few", "sizes"), [(3000, [3000]), (2000, [1800, 3000]), (900, [900, 3000])]
)
def test_many_rows_begin_on_a_sample(few, sizes, monkeypatch):
    """However little it saves: where it is hot, short lists of the cheapest regions mislead."""
    problem = compile_instance(random_instance(3, n=3000)).problem
    assert problem.size == 3000
    monkeypatch.setattr(anneal, "SAMPLE", 1800)
    monkeypatch.setattr(anneal, "FEW_ROWS", few)
    found = [level.size for level in anneal._levels(problem, seed=0)]
    np.testing.assert_allclose(found, sizes, rtol=0.05)  # strata round


def test_regions_that_share_their_rows_fall_together():
    """Eight rows have two regions with room for twelve, both dear: neither would fall alone."""
    n, m, few = 1000, 6, 8
    cost = costs(n, m)
    cost[:few, 0], cost[:few, 1] = 0.0, 0.5
    allowed = np.ones((n, m), bool)
    allowed[:few, 2:], allowed[few:, :2] = False, False
    instance = simple(cost, np.ones(n), np.array([6.0, 6.0, *[250.0] * (m - 2)]), allowed=allowed)
    problem = compile_instance(instance).problem
    usual, temperature = 0.5, 1e-2
    dear = np.full(problem.limit.size, usual)
    dear[:2] = 12.0, 12.0 - 0.5 / problem.scaling.cost  # now each has its share of them
    found = anneal._fallen(problem, dear, temperature)
    assert found[:2].max() <= 2 * usual
    np.testing.assert_array_equal(found[2:], dear[2:])


def test_no_rows():
    """An hour without requests costs nothing."""
    found = solve(with_rows(random_instance(0, features=()), []), TIGHT).certificate
    assert found.objective_usd == found.lower_bound_usd == found.gap == 0
