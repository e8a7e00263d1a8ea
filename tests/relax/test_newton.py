"""The ascent at one temperature: it climbs, and stops where the gradient says so."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest
from instances import FEATURES, dense_instance, random_instance

from jaxplace.instance import Instance
from jaxplace.kernels import api as kernels
from jaxplace.kernels.device import Matrix
from jaxplace.problem import compile_instance
from jaxplace.relax import choose, newton
from jaxplace.relax.ascent import Constraints, Settled, respond
from jaxplace.relax.newton import trial_point
from jaxplace.settings import Method, SolverSettings


pytestmark = pytest.mark.usefixtures("x64")

SERVABLE = FEATURES - {"unservable"}
KINDS: dict[str, Callable[[], Instance]] = {
    "every feature": lambda: random_instance(1, features=SERVABLE),
    "no feature": lambda: random_instance(1, features=()),
    "tight": lambda: random_instance(1, features=SERVABLE, tightness=1.3),
    "dense, two resources": lambda: dense_instance(1, n=40, m=8, resources=2),
}
METHODS = [Method.newton, Method.first_order]


def climb(
    instance: Instance, method: Method, temperature: float, *, groups: bool = False
) -> tuple[Settled, list[float]]:
    """Where the ascent from duals of 0 ends, and the values that it passed."""
    problem = compile_instance(instance).problem
    of = Constraints.of(problem)
    values: list[float] = []

    def note(now: Settled) -> bool:
        values.append(float(now.response.value) - of.limit @ now.point)
        return False

    ascent = choose(SolverSettings(method=method), duals=problem.limit.size)
    start = np.zeros(len(of.limit))
    found = ascent.settle(
        problem, start, temperature, tolerance=1e-3, worth=0.0, report=note, groups=groups
    )
    return found, values


@pytest.mark.parametrize("temperature", [1.0, 0.05])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("groups", [False, True])
def test_the_value_rises_from_step_to_step(groups, method, kind, temperature):
    """The smoothed semi-dual is concave, and no step is taken that lowers it."""
    _, values = climb(KINDS[kind](), method, temperature, groups=groups)
    assert len(values) >= 2
    assert (np.diff(values) >= -1e-6 * np.abs(values).max()).all()
    assert values[-1] > values[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("groups", [False, True])
def test_it_settles_at_a_maximum(groups, method, kind):
    """Duals >= 0, no overload left, and nothing idle that has a price."""
    found, _ = climb(KINDS[kind](), method, 0.3, groups=groups)
    problem = compile_instance(KINDS[kind]()).problem
    of = Constraints.of(problem)
    assert np.isfinite(found.point).all()
    assert (found.point >= 0).all()
    assert found.violation <= 1e-3
    overload = of.taken(found.response) - of.limit
    assert (overload[: problem.limit.size] <= 2e-3 * of.total).all()


def test_a_report_that_says_stop_is_obeyed():
    """The clock and the step limit are the caller's."""
    problem = compile_instance(KINDS["every feature"]()).problem
    ascent = choose(SolverSettings(), duals=problem.limit.size)
    start = np.zeros(len(Constraints.of(problem).limit))
    for most in (0, 2):
        found = ascent.settle(
            problem,
            start,
            0.1,
            tolerance=1e-9,
            worth=0.0,
            report=lambda now, most=most: now.steps >= most,
        )
        assert found.steps == most


@pytest.mark.parametrize("method", METHODS)
def test_no_capacity_at_all(method):
    """With every capacity 0 the duals push all that uses anything out, and stay finite."""
    instance = Instance.from_arrays(
        cost=np.random.default_rng(0).uniform(1, 9, (40, 8)),
        use=np.r_[np.zeros(20), np.ones(20)],
        capacity=np.full(8, 1e-3),
        allowed=np.ones((40, 8), bool),
    )
    found, _ = climb(instance, method, 0.1)
    assert np.isfinite(found.point).all()


@pytest.mark.parametrize("begin", [0.0, 40.0])
@pytest.mark.parametrize("method", METHODS)
def test_no_dual_moves_by_more_than_its_span(method, begin):
    """Short lists of regions, and the rows that are left out, hold for the duals at hand."""
    problem = compile_instance(KINDS["every feature"]()).problem
    of, temperature, span = Constraints.of(problem), 0.3, 5.0
    ascent = choose(SolverSettings(method=method), duals=problem.limit.size)
    start = np.full(len(of.limit), begin)
    found = ascent.settle(
        problem, start, temperature, tolerance=1e-3, worth=0.0, report=lambda _: False, span=span
    )
    assert (np.abs(found.point - start) <= span * temperature / of.unit + 1e-4).all()
    assert (np.abs(found.point - start) > 1e-3).any()


@pytest.mark.parametrize("seed", range(3))
def test_regions_that_share_their_rows_rise_together(seed):
    """Sixty near regions, a tenth too small in all; the next ones cost hundreds of temperatures."""
    rng, rows, near = np.random.default_rng(seed), 3000, 60
    use, capacity = rng.lognormal(0, 1, rows), np.r_[rng.lognormal(0, 1.5, near), np.full(4, 1e9)]
    capacity[:near] *= 0.9 * use.sum() / capacity[:near].sum()
    cost = np.hstack([1 + 3e-3 * rng.random((rows, near)), rng.uniform(1.5, 3.0, (rows, 4))])
    instance = Instance.from_arrays(cost=cost, use=use, capacity=capacity, unplaced=100.0)
    problem = compile_instance(instance).problem
    of = Constraints.of(problem)
    ascent = choose(SolverSettings(), duals=problem.limit.size)
    alone, grouped = (
        ascent.settle(
            problem,
            np.zeros(len(of.limit)),
            1e-3,
            tolerance=1e-3,
            worth=0.0,
            report=lambda _: False,
            groups=groups,
        )
        for groups in (False, True)
    )
    assert max(alone.violation, grouped.violation) <= 1e-3
    assert (grouped.point[:near] > 100 * 1e-3).sum() > near / 2
    height = of.height(alone.response, alone.point)
    assert of.height(grouped.response, grouped.point) == pytest.approx(height, rel=1e-6)
    assert grouped.steps < 0.8 * alone.steps


def test_a_dual_that_ran_away_comes_back():
    """A sample may price a region that nobody needs as dear as being left out."""
    problem = compile_instance(random_instance(1, features=(), tightness=0.5)).problem
    of = Constraints.of(problem)
    ascent = choose(SolverSettings(), duals=problem.limit.size)

    def settled(start):
        return ascent.settle(
            problem, start, 1e-3, tolerance=1e-2, worth=1e-3, report=lambda _: False
        )

    right = settled(np.zeros(len(of.limit)))
    away = right.point.copy()
    away[0] += 20.0
    again = settled(away)
    height = of.height(right.response, right.point)
    assert of.height(again.response, again.point) == pytest.approx(height, rel=1e-3)


def test_regions_that_nobody_can_use_do_not_keep_the_active_set_busy(monkeypatch):
    """Without capacity and load they are at their bound for good: neither side of it pulls."""
    solved, solve = [], newton._solve
    monkeypatch.setattr(newton, "_solve", lambda *a, **k: solved.append(1) or solve(*a, **k))
    matrix, gradient = np.diag([2.0, 1.0, 0.0, 0.0]), np.array([1.0, -3.0, 0.0, 0.0])
    point, box = np.array([0.0, 1.0, 0.0, 0.0]), (np.zeros(4), np.full(4, np.inf))
    there = trial_point(matrix, gradient, point, box, np.full(4, 10.0), 0.0).point
    np.testing.assert_allclose(there, [0.5, 0.0, 0.0, 0.0], atol=2e-2)
    assert len(solved) <= 3


@pytest.mark.parametrize("kind", ["no feature", "every feature"])
def test_a_curvature_that_is_no_matrix_gives_the_same_step(kind):
    """Conjugate gradients and the factorisation promise the same rise, inside the same box."""
    problem = compile_instance(KINDS[kind]()).problem
    of, rng = Constraints.of(problem), np.random.default_rng(0)
    point = rng.random(len(of.limit)) * 0.1 / of.unit
    matrix, summed = (
        kernels.curvature(problem, of.duals(point), 0.3, dense=dense) for dense in (True, False)
    )
    gradient = of.taken(respond(problem, of, point, 0.3)) - of.limit
    box, reach = (np.zeros(len(point)), point + 1.5 / of.unit), 2.0 / of.unit
    dense = trial_point(matrix, gradient, point, box, reach, 1e-3)
    iterated = trial_point(summed, gradient, point, box, reach, 1e-3)
    assert iterated.promised == pytest.approx(dense.promised, rel=1e-2)
    assert (iterated.point >= np.maximum(point - reach, 0) - 1e-12).all()
    assert (iterated.point <= box[1] + 1e-12).all()


@pytest.mark.parametrize(("most", "tolerance"), [(60, 1e-6), (59, 1e-2)])
def test_a_curvature_on_the_device_gives_the_same_step(most, tolerance, monkeypatch):
    """Factorised where it is small, else by conjugate gradients."""
    monkeypatch.setattr(newton, "MOST_DENSE", most)
    rng = np.random.default_rng(0)
    q = 60
    shares = rng.random((200, q)) * (rng.random((200, q)) < 0.05)
    matrix, gradient, point = shares.T @ shares, rng.normal(size=q), np.abs(rng.normal(size=q))
    box, reach = (np.zeros(q), point + 1.5), np.full(q, 2.0)
    host = trial_point(matrix, gradient, point, box, reach, 1e-3)
    there = trial_point(Matrix(jnp.asarray(matrix)), gradient, point, box, reach, 1e-3)
    assert there.promised == pytest.approx(host.promised, rel=tolerance)
    assert (there.point >= np.maximum(point - 2.0, 0.0) - 1e-12).all()
    assert (there.point <= point + 1.5 + 1e-12).all()
