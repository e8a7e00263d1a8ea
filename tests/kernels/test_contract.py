"""One contract for every backend: each operation against a few lines of float64 NumPy."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numba
import numpy as np
import pytest
from instances import FEATURES, dense_instance, random_instance

from jaxplace import evaluate, runtime
from jaxplace.instance import DenseTerms, Instance, Terms
from jaxplace.kernels import api, host, pallas
from jaxplace.kernels.host.rows import arrays
from jaxplace.problem import Compiled, Duals, Problem, compile_instance


pytestmark = pytest.mark.usefixtures("x64")


class Backend(NamedTuple):
    """The operations, each called as `kernels.api`'s are."""

    respond: Callable
    curvature: Callable
    best_regions: Callable
    reduced_costs: Callable


def _pallas() -> Backend:
    """The GPU's kernels; without one they are interpreted, and compiling takes longest."""
    interpret = jax.default_backend() == "cpu"
    quick = {"xla_backend_optimization_level": 0} if interpret else None
    jit = partial(jax.jit, compiler_options=quick)
    respond = jit(partial(pallas.respond, interpret=interpret))
    curvature = jit(partial(pallas.curvature, interpret=interpret))
    best = jit(partial(pallas.best_regions, interpret=interpret), static_argnames="k")
    return Backend(
        lambda p, d, t: respond(p.rows, p.tables, d, t),
        lambda p, d, t: curvature(p.rows, p.tables, d, t),
        lambda p, d, *, k: best(p.rows, p.tables, d, k=k),
        api.reduced_costs,
    )


def _listed(problem: Problem, duals: Duals) -> Problem:
    """All regions on every row's list, made at other duals: none are paid twice."""
    if problem.book is None:
        return problem
    others = jax.tree.map(lambda dual: 0.5 * dual, duals)
    lists = host.shortlist(
        problem.rows,
        problem.tables,
        problem.book.menus,
        others,
        k=problem.limit.shape[0],
        size=problem.size,
    )
    return replace(problem, lists=lists)


def _summed(problem: Problem, duals: Duals, temperature: float) -> np.ndarray:
    """The curvature that is no matrix, times the unit vectors."""
    found = api.curvature(problem, duals, temperature, dense=False)
    if isinstance(found, api.Covariance):
        q = len(found.diagonal())
        found = np.stack([found @ unit for unit in np.eye(q)], 1)
        whole = api.curvature(problem, duals, temperature)
        np.testing.assert_allclose(found.diagonal(), whole.diagonal(), rtol=1e-5, atol=1e-12)
    return found


BACKENDS = {
    "covariance": Backend(api.respond, _summed, api.best_regions, api.reduced_costs),
    "xla": Backend(api.respond, api.curvature, api.best_regions, api.reduced_costs),
    "pallas": _pallas(),
    "lists": Backend(
        lambda p, d, t: api.respond(_listed(p, d), d, t),
        lambda p, d, t: api.curvature(_listed(p, d), d, t),
        api.best_regions,
        api.reduced_costs,
    ),
}


def _counted(instance: Instance) -> Instance:
    """The instance with several units a row."""
    return replace(instance, count=np.arange(instance.rows) % 5 + 1)


def _hardly_used(instance: Instance) -> Instance:
    """Every other row's use is so small that its temperatures are less than a float32 step."""
    small = np.where(np.arange(instance.rows) % 2, 1.0, 1e-8)
    return replace(instance, use=instance.use * small[:, None])


def _another_hour(instance: Instance, hour: int) -> Instance:
    """The instance with other costs, budgets in milliseconds, counts and penalties."""
    rng, terms = np.random.default_rng(hour), instance.terms
    names = ("cost",) if isinstance(terms, DenseTerms) else ("price_usd_per_mwh", "energy_kwh")
    other = {name: getattr(terms, name) * rng.uniform(0.5, 2.0) for name in names}
    if isinstance(terms, Terms):
        other["latency_budget_ms"] = terms.latency_budget_ms * rng.uniform(0.9, 1.1, instance.rows)
    return replace(
        instance,
        terms=replace(terms, **other),
        count=rng.integers(1, 9, instance.rows),
        unplaced=instance.unplaced * rng.uniform(1.0, 2.0),
    )


KINDS: dict[str, Callable[[int], Instance]] = {
    "every feature": lambda s: random_instance(s),
    "no feature": lambda s: random_instance(s, features=()),
    "counts, negative prices": lambda s: random_instance(s, features={"counts", "negative_prices"}),
    "moves, egress": lambda s: random_instance(s, features={"moves", "egress", "parts"}),
    "max_moves": lambda s: random_instance(s, features={"max_moves", "counts"}),
    "carbon_cap": lambda s: random_instance(s, features={"carbon_cap", "hosting"}),
    "two_resources": lambda s: random_instance(s, features={"two_resources", "hosting"}),
    "latency, residency": lambda s: random_instance(s, features={"latency", "residency"}),
    "next to no use": lambda s: _hardly_used(random_instance(s, features={"moves", "egress"})),
    "dense": lambda s: _counted(dense_instance(s, n=40, m=8)),
    "dense, use by row": lambda s: dense_instance(s, n=40, m=8, pair_use=False),
    "dense, two resources": lambda s: dense_instance(s, n=40, m=8, resources=2),
}
TEMPERATURES = (1.0, 0.05)


@dataclass(frozen=True)
class Point:
    """A compiled instance and random duals, as the kernels take them and in the user's units."""

    compiled: Compiled
    duals: Duals
    capacity: np.ndarray  # [m, R] scaled
    budgets: np.ndarray  # [2] scaled; 0 without such a budget

    @classmethod
    @cache
    def of(cls, kind: str, seed: int = 0) -> "Point":
        """Duals of the size of the costs, some of them 0."""
        compiled = compile_instance(KINDS[kind](seed))
        rng = np.random.default_rng(seed)
        problem = compiled.problem
        capacity = rng.exponential(0.5, problem.limit.shape) * (
            rng.random(problem.limit.shape) < 0.8
        )
        capacity = capacity.astype(np.float32)
        on = np.isfinite(problem.budgets)
        budgets = np.array([0.3, 0.7], np.float32)
        duals = Duals(
            capacity, *(b if is_on else None for b, is_on in zip(budgets, on, strict=True))
        )
        regions = problem.regions
        return cls(compiled, duals, capacity[:regions].astype(float), budgets * on.astype(float))


class Plan(NamedTuple):
    """What the oracle finds; scaled as the kernels' answers are."""

    value: float
    exact: float
    regret: float
    load: np.ndarray
    budget: np.ndarray
    doubt: np.ndarray


def options(point: Point, capacity: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """[n, m + 1] scaled reduced costs in the problem's order, unplaced last, inf: not allowed."""
    compiled, order = point.compiled, point.compiled.order
    instance, scaling = compiled.pairs.instance, compiled.problem.scaling
    part = evaluate.parts(instance, order)
    paid = sum(part.cost.values()) / scaling.cost + budgets[0] * part.move + budgets[1] * part.kg
    for r in range(len(instance.resources)):
        paid = paid + evaluate.use(instance, r, order) / scaling.use[r] * capacity[:, r]
    reduced = np.where(evaluate.allowed(instance, order), paid, np.inf)
    return np.hstack([reduced, instance.unplaced[order][:, None] / scaling.cost])


def oracle(point: Point, temperature: float, capacity: Any = None, budgets: Any = None) -> Plan:
    """The softmin plan, in float64."""
    capacity = point.capacity if capacity is None else capacity
    budgets = point.budgets if budgets is None else budgets
    problem, order = point.compiled.problem, point.compiled.order
    instance = point.compiled.pairs.instance
    each, count = options(point, capacity, budgets), instance.count[order].astype(float)
    spread = temperature * np.asarray(problem.rows.scale, float)[: len(order), None]
    best = each.min(1, keepdims=True)
    weight = np.exp((best - each) / spread)
    share = weight / weight.sum(1, keepdims=True)
    value = best[:, 0] - spread[:, 0] * np.log(weight.sum(1))
    worth = np.where(share > 0, each - best, 0.0)
    placed, part = share[:, :-1] * count[:, None], evaluate.parts(instance, order)
    uses = [evaluate.use(instance, r, order) for r in range(len(instance.resources))]
    load = np.stack([(placed * u).sum(0) for u in uses], 1) / problem.scaling.use
    budget = np.array([(placed * part.move).sum(), (placed * part.kg).sum()])
    budget *= np.isfinite(problem.budgets)
    doubt = 1 - (share**2).sum(1)
    return Plan(
        count @ value, count @ best[:, 0], count @ (share * worth).sum(1), load, budget, doubt
    )


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend in turn."""
    return BACKENDS[request.param]


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("kind", KINDS)
def test_respond_is_the_softmin_plan(backend, kind, temperature):
    """Value, exact value, regret, loads, budgets and doubt as in float64."""
    point = Point.of(kind)
    found = backend.respond(point.compiled.problem, point.duals, np.float32(temperature))
    wanted = oracle(point, temperature)
    units = float(point.compiled.pairs.instance.count.sum())
    close = {"rtol": 3e-5, "atol": 3e-6 * units}
    for name in ("value", "exact", "regret"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), **close)
        assert getattr(found, name).dtype == np.float64
    regions = point.compiled.problem.regions
    np.testing.assert_allclose(found.load[:regions], wanted.load, **close)
    np.testing.assert_array_equal(found.load[regions:], 0)
    np.testing.assert_allclose(found.budget, wanted.budget, **close)
    np.testing.assert_allclose(found.doubt[: len(wanted.doubt)], wanted.doubt, atol=1e-4)
    assert float(found.value) <= float(found.exact)
    assert float(found.regret) >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_cold_response_is_the_hard_minimum(backend, kind):
    """As the temperature falls the value meets the exact one and regret vanishes."""
    point = Point.of(kind)
    found = backend.respond(point.compiled.problem, point.duals, np.float32(1e-6))
    assert np.isfinite(found.load).all()
    np.testing.assert_allclose(found.value, found.exact, rtol=1e-5)
    np.testing.assert_allclose(found.exact, oracle(point, 1.0).exact, rtol=1e-5)
    assert float(found.regret) <= 1e-4 * abs(float(found.exact))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_the_value_is_the_load(kind):
    """The oracle's own value and load belong together (a check of the ten lines)."""
    point, h = Point.of(kind), 1e-6
    wanted = oracle(point, 0.5)
    for j, r in [(0, 0), (3, -1)]:
        step = np.zeros_like(point.capacity)
        step[j, r] = h
        up = oracle(point, 0.5, point.capacity + step).value
        down = oracle(point, 0.5, point.capacity - step).value
        assert (up - down) / (2 * h) == pytest.approx(wanted.load[j, r], rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("kind", KINDS)
def test_curvature_is_the_slope_of_the_loads(backend, kind, temperature):
    """Minus the Hessian: how loads and budgets fall as each dual rises, by finite differences."""
    point = Point.of(kind)
    problem = point.compiled.problem
    on = np.isfinite(problem.budgets)
    (m, resources), padded = point.capacity.shape, problem.limit.shape[0]
    h = 1e-3 * temperature

    def taken(step: np.ndarray) -> np.ndarray:
        extra = np.zeros(2)
        extra[on] = step[m * resources :]
        capacity = point.capacity + step[: m * resources].reshape(m, resources)
        plan = oracle(point, temperature, capacity, point.budgets + extra)
        return np.r_[plan.load.ravel(), plan.budget[on]]

    steps = h * np.eye(m * resources + on.sum())
    wanted = np.stack([(taken(-s) - taken(s)) / (2 * h) for s in steps], 1)
    matrix = np.asarray(backend.curvature(problem, point.duals, np.float32(temperature)))
    assert matrix.shape == (padded * resources + on.sum(),) * 2
    real = np.r_[np.arange(m * resources), padded * resources + np.arange(on.sum())]
    tolerance = 1e-3 * np.sqrt(np.outer(wanted.diagonal(), wanted.diagonal())) + 1e-5 * wanted.max()
    assert (np.abs(matrix[np.ix_(real, real)] - wanted) <= tolerance).all()
    rest = np.delete(matrix, real, axis=0)
    np.testing.assert_array_equal(rest, 0)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5 * wanted.max())
    assert np.linalg.eigvalsh(matrix).min() > -1e-4 * wanted.max()


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_best_regions_are_the_first_of_the_sorted(backend, kind, k):
    """The k least reduced costs in rising order, each with its own region; inf past the allowed."""
    point = Point.of(kind)
    region, reduced = backend.best_regions(point.compiled.problem, point.duals, k=k)
    n = point.compiled.problem.size
    region, reduced = np.asarray(region)[:n], np.asarray(reduced)[:n]
    each = options(point, point.capacity, point.budgets)[:, :-1]
    wanted = np.sort(each, 1)[:, :k]
    known = np.isfinite(wanted)
    np.testing.assert_array_equal(np.isfinite(reduced), known)
    np.testing.assert_allclose(reduced[known], wanted[known], rtol=1e-5, atol=1e-5)
    chosen = np.take_along_axis(each, np.where(known, region, 0), 1)
    np.testing.assert_allclose(chosen[known], wanted[known], rtol=1e-5, atol=1e-5)
    for i in range(n):
        assert len(set(region[i, known[i]])) == known[i].sum()
    assert (reduced[:, 1:] >= reduced[:, :-1]).all()


@pytest.mark.parametrize("on_host", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_drawn_as_often_as_their_shares(kind, on_host, monkeypatch):
    """Over evenly spaced chances, each option comes as often as its share, to within one."""
    if not on_host:
        monkeypatch.setattr(api, "_on_host", lambda problem: False)
    point, temperature, times = Point.of(kind), 0.3, 50
    problem, n = point.compiled.problem, point.compiled.problem.size
    each = options(point, point.capacity, point.budgets)
    share = np.exp((each.min(1, keepdims=True) - each) / temperature / problem.scale[:, None])
    wanted, found = share / share.sum(1, keepdims=True) * times, np.zeros(each.shape)
    for chance in (np.arange(times) + 0.5) / times:
        region = api.draw(problem, point.duals, temperature, np.full(n, chance))
        found[np.arange(n), region] += 1  # -1: the last column, unplaced
    np.testing.assert_array_less(np.abs(found - wanted), 1.01)


@pytest.mark.parametrize("kind", KINDS)
def test_servable_rows_have_an_allowed_region(kind):
    """Rows that are too large for all regions in reach have none."""
    instance, rng = KINDS[kind](3), np.random.default_rng(3)
    capacity, terms = instance.capacity.copy(), instance.terms
    size = np.quantile(evaluate.use(instance, 0, slice(None)), 0.4)
    capacity[:, 0] = size * rng.uniform(0.5, 1.5, instance.regions)
    if isinstance(terms, DenseTerms):  # says itself what is too large
        fits = np.arange(instance.rows)[:, None] % 3 > 0
        terms = replace(terms, allowed=terms.allowed & fits)
    instance = replace(instance, capacity=capacity, terms=terms)
    compiled = compile_instance(instance)
    found = api.servable(compiled.problem)[: instance.rows]
    wanted = evaluate.allowed(instance, compiled.order).any(1)
    np.testing.assert_array_equal(found, wanted)
    assert 0 < wanted.sum() < len(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_reduced_costs_are_the_whole_matrix(backend, kind):
    """Every pair's reduced cost, inf where not allowed and at padding regions."""
    point = Point.of(kind)
    problem = point.compiled.problem
    found = np.asarray(backend.reduced_costs(problem, point.duals))[: problem.size]
    wanted = options(point, point.capacity, point.budgets)[:, :-1]
    np.testing.assert_allclose(found[:, : problem.regions], wanted, rtol=1e-5, atol=1e-5)
    assert np.isinf(found[:, problem.regions :]).all()


def test_equal_regions_come_by_index(backend):
    """Ties are broken by the region's index, so that plans do not depend on chance."""
    instance = Instance.from_arrays(
        cost=np.tile([2.0, 1.0, 1.0, 2.0, 1.0, 3.0, 3.0, 3.0], (40, 1)),
        use=np.ones(40),
        capacity=np.full(8, 40.0),
    )
    problem = compile_instance(instance).problem
    duals = Duals(np.zeros(problem.limit.shape, np.float32))
    region, _ = backend.best_regions(problem, duals, k=5)
    np.testing.assert_array_equal(np.asarray(region)[:40], [[1, 2, 4, 0, 3]] * 40)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_rows_count_for_nothing(backend, kind):
    """Whatever padding rows hold, weight 0 keeps it out of every sum."""
    point = Point.of(kind)
    problem, temperature = point.compiled.problem, np.float32(0.3)

    def noisy(field: Any) -> Any:
        if field is None or field.dtype == bool or not np.issubdtype(field.dtype, np.floating):
            return field
        return np.asarray(field) + np.where(np.arange(len(field)) < problem.size, 0, 1).astype(
            field.dtype
        ).reshape(-1, *[1] * (field.ndim - 1))

    rows = type(problem.rows)(*map(noisy, problem.rows))._replace(weight=problem.rows.weight)
    spoiled = replace(problem, rows=rows)
    clean, other = (backend.respond(p, point.duals, temperature) for p in (problem, spoiled))
    for name in ("value", "exact", "regret", "load", "budget"):
        np.testing.assert_array_equal(getattr(clean, name), getattr(other, name))
    np.testing.assert_array_equal(
        backend.curvature(problem, point.duals, temperature),
        backend.curvature(spoiled, point.duals, temperature),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_weights_add_up(backend, kind):
    """A row of weight 3 is three rows of weight 1, here taken one after another."""
    point = Point.of(kind)
    index = np.array([4, 9, 9, 9, 0])
    triple = point.compiled.problem.take(np.array([0, 4, 9]), np.array([1.0, 1.0, 3.0]))
    single = point.compiled.problem.take(index, np.ones(5))
    a, b = (backend.respond(p, point.duals, np.float32(0.2)) for p in (triple, single))
    for name in ("value", "exact", "regret", "load", "budget"):
        found, wanted = np.asarray(getattr(a, name)), np.asarray(getattr(b, name))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_new_numbers_do_not_compile_again(backend, kind):
    """Another hour's prices and counts, other duals and temperatures: nothing is compiled."""
    point, spent = Point.of(kind), []
    instance = point.compiled.pairs.instance
    for hour in range(3):
        problem = compile_instance(_another_hour(instance, hour)).problem
        capacity = np.full(problem.limit.shape, 0.1 * hour, np.float32)
        duals, temperature = point.duals._replace(capacity=capacity), np.float32(0.5 / (1 + hour))
        backend.respond(problem, duals, temperature)
        backend.curvature(problem, duals, temperature)
        backend.best_regions(problem, duals, k=2)
        spent.append(runtime.compile_seconds())
    assert spent[0] == spent[1] == spent[2]


def test_blocks_add_up(backend):
    """Rows that fill several blocks, the last one partly."""
    instance = random_instance(0, n=1300)
    compiled = compile_instance(instance)
    duals = Duals(
        np.full(compiled.problem.limit.shape, 0.3, np.float32), np.float32(0), np.float32(0)
    )
    point = Point(compiled, duals, np.full(instance.capacity.shape, 0.3), np.zeros(2))
    found, wanted = backend.respond(compiled.problem, duals, np.float32(0.1)), oracle(point, 0.1)
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-5)
    np.testing.assert_allclose(found.load[:8], wanted.load, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found.budget, wanted.budget, rtol=1e-4)
    np.testing.assert_allclose(found.doubt[:1300], wanted.doubt, atol=1e-3)


def test_a_short_list_has_the_cheapest_regions():
    """At most k, none dearer than one that is left out; the pass over them is the rows' own."""
    point = Point.of("no feature")
    problem, k = point.compiled.problem, 3
    lists = host.shortlist(
        problem.rows, problem.tables, problem.book.menus, point.duals, k=k, size=problem.size
    )
    each = options(point, point.capacity, point.budgets)[:, :-1]
    regions = problem.regions
    for i, row in enumerate(each):
        listed = lists.region[:, i][lists.region[:, i] < regions]
        assert 1 <= len(listed) <= k
        rest = np.delete(row, listed)
        assert row[listed].max() <= rest.min() * (1 + 1e-5)
    cold = 1e-6
    short = api.respond(replace(problem, lists=lists), point.duals, cold)
    np.testing.assert_allclose(short.exact, oracle(point, cold).exact, rtol=1e-5)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("features", [(), ("two_resources", "max_moves", "carbon_cap", "counts")])
def test_lists_made_elsewhere_answer_alike(features, factor):
    """However far the duals went, up or down, no option is left unread that has a share."""
    rng = np.random.default_rng(5)
    problem = compile_instance(random_instance(5, n=300, m=100, features=features)).problem
    moves, carbon = (np.float32(0.2) if np.isfinite(b) else None for b in problem.budgets)
    duals = Duals(rng.exponential(0.5, problem.limit.shape).astype(np.float32), moves, carbon)
    there = jax.tree.map(
        lambda d: (d * factor * rng.uniform(0.5, 1.5, np.shape(d))).astype(np.float32), duals
    )
    lists = host.shortlist(
        problem.rows, problem.tables, problem.book.menus, there, k=100, size=problem.size
    )
    read = lists._replace(floor=np.where(lists.floor < 1e29, -1e29, lists.floor))  # every tile
    for temperature in (0.3, 1e-3, 1e-5):
        found, whole = (
            api.respond(replace(problem, lists=some), duals, temperature) for some in (lists, read)
        )
        wanted = api.respond(problem, duals, temperature)
        for name in ("value", "exact", "load", "budget"):
            np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-9)
            np.testing.assert_allclose(
                getattr(found, name), getattr(wanted, name), rtol=1e-4, atol=1e-3
            )


def test_taken_rows_keep_their_lists():
    """`take` of a listed problem answers as the rows do by themselves."""
    point = Point.of("two_resources")
    problem = _listed(point.compiled.problem, point.duals)
    index = np.arange(1, problem.size, 3)
    whole = api.respond(problem, point.duals, 0.1)
    part = api.respond(problem.take(index), point.duals, 0.1)
    np.testing.assert_allclose(part.doubt[: len(index)], whole.doubt[index], rtol=1e-6)
    rest = api.respond(problem.take(np.setdiff1d(np.arange(problem.size), index)), point.duals, 0.1)
    np.testing.assert_allclose(part.load + rest.load, whole.load, rtol=1e-5, atol=1e-8)


def test_other_features_compile_no_loops_again():
    """What an instance lacks has the types of what another one brings."""
    kinds = set()
    for features in ((), FEATURES - {"two_resources"}, {"latency", "carbon_cap"}):
        problem = compile_instance(random_instance(0, features=features)).problem
        moves, carbon = (np.float32(0.1) if np.isfinite(b) else None for b in problem.budgets)
        duals = Duals(np.zeros(problem.limit.shape, np.float32), moves, carbon)
        kinds.add(numba.typeof(arrays(problem.rows, problem.tables, duals)))
        device = jax.tree.map(jnp.asarray, duals)
        kinds.add(numba.typeof(arrays(problem.rows, problem.tables, device)))
    assert len(kinds) == 1
