"""`solve` end to end: known optima, HiGHS, laws, edges, clocks and starts."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from highs import lp_optimum, mip_optimum
from instances import FEATURES, dense_instance, random_instance
from laws import (
    with_costs_times,
    with_more_capacity,
    with_regions,
    with_row_costs_plus,
    with_rows,
    with_split_counts,
    with_unusable_region,
    with_uses_times,
)
from planted import PLANTED, M, N

from jaxplace import pipeline, runtime
from jaxplace.errors import InputError
from jaxplace.instance import DenseTerms, Instance
from jaxplace.pipeline import HASTY, solve
from jaxplace.placement import Checkpoint, Placement
from jaxplace.repair import chains
from jaxplace.settings import Settings, SolverSettings
from jaxplace.status import Status


NAMES = sorted(FEATURES)
BOUND = 1e-4  # share by which two solves' bounds may differ where the optimum is the same


def checked(instance: Instance, settings: Settings | None = None, **more: Any) -> Placement:
    """A placement that passed its own certificate."""
    placement = solve(instance, settings, **more)
    found = placement.certificate
    assert found.feasible, found.violations
    assert np.isfinite(found.lower_bound_usd)
    assert found.lower_bound_usd <= found.objective_usd + 1e-9 * abs(found.objective_usd)
    plan = placement.assignment
    counts = np.bincount(plan.row, plan.count, instance.rows)
    np.testing.assert_array_equal(counts, instance.count)
    return placement


def same_optimum(
    first: Placement, second: Placement, scale: float = 1.0, plus: float = 0.0
) -> None:
    """Two placements of problems whose optima are `second = scale * first + plus`.

    Each one's bound holds for the other's plan, and the bounds agree.
    """
    a, b = first.certificate, second.certificate
    low, high = scale * a.lower_bound_usd + plus, scale * a.objective_usd + plus
    slack = 1e-9 * (abs(high) + abs(plus))
    assert low <= b.objective_usd + slack
    assert b.lower_bound_usd <= high + slack
    size = max(abs(low - scale * a.unservable_usd), 1e-12)
    assert abs(b.lower_bound_usd - low) <= BOUND * size


def flows(placement: Placement) -> list[bytes]:
    """The assignment, byte for byte."""
    return [x.tobytes() for x in vars(placement.assignment).values()]


# known optima


@pytest.mark.parametrize("name", PLANTED)
def test_a_known_optimum_is_found(name):
    """The certified gap is at most the one asked for, and both figures bracket the optimum."""
    instance, optimum = PLANTED[name]()
    placement = checked(instance)
    found = placement.certificate
    slack = 1e-9 * abs(optimum)
    assert found.lower_bound_usd <= optimum + slack
    assert optimum - slack <= found.objective_usd
    assert found.gap <= 1e-3
    assert placement.status is Status.converged


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [random_instance, dense_instance])
def test_small_instances_against_the_best_whole_plan(make, seed):
    """bound <= LP optimum, bound <= optimum over whole plans <= objective."""
    instance = make(seed, n=14, m=4)
    found = checked(instance).certificate
    relaxed, whole = lp_optimum(instance), mip_optimum(instance)
    assert found.lower_bound_usd <= relaxed + 1e-7 * abs(relaxed)
    assert whole <= found.objective_usd + 1e-7 * abs(whole)


@pytest.mark.parametrize("without", [*NAMES, None])
def test_every_mix_of_features_is_certified(without):
    """All features but one: feasible, certified, and no dearer than the best rule of thumb."""
    instance = random_instance(21, features=FEATURES - {without})
    placement = checked(instance)
    rules = min(rule["objective_usd"] for rule in placement.baselines.values())
    assert placement.certificate.objective_usd <= rules * (1 + 1e-12)
    gap = placement.certificate.gap
    assert (placement.status is Status.converged) == (gap <= 1e-3)


def test_small_units_reach_the_gap():
    """Where no unit is large beside a region, the default gap is reached."""
    instance = random_instance(2, n=6000, features=FEATURES - {"carbon_cap", "max_moves"})
    assert checked(instance).certificate.gap <= 1e-3


# laws


STRUCTURED = random_instance(31, features=FEATURES - {"parts"})
DENSE = replace(dense_instance(31, n=N, m=M), count=np.arange(N) % 4 + 1)
DENSE = replace(DENSE, capacity=DENSE.capacity * 2.5)
BOTH = pytest.mark.parametrize("instance", [STRUCTURED, DENSE], ids=["structured", "dense"])
PLACED: dict[int, Placement] = {}


def placed(instance: Instance) -> Placement:
    """The instance's placement, solved once."""
    if id(instance) not in PLACED:
        PLACED[id(instance)] = checked(instance)
    return PLACED[id(instance)]


@BOTH
def test_the_order_of_requests_does_not_matter(instance):
    """Permuted requests: the same optimum."""
    index = np.random.default_rng(0).permutation(instance.rows)
    same_optimum(placed(instance), checked(with_rows(instance, index)))


@BOTH
def test_the_order_of_regions_does_not_matter(instance):
    """Permuted regions: the same optimum."""
    index = np.random.default_rng(0).permutation(instance.regions)
    same_optimum(placed(instance), checked(with_regions(instance, index)))


@pytest.mark.parametrize("scale", [1e-9, 0.3, 1e9])
@BOTH
def test_costs_scale(instance, scale):
    """All costs in another currency: the optimum follows."""
    same_optimum(placed(instance), checked(with_costs_times(instance, scale)), scale=scale)


@pytest.mark.parametrize("scale", [1e-6, 0.3, 1e6])
@BOTH
def test_uses_scale(instance, scale):
    """Uses and capacities in another unit: the optimum stays."""
    other = with_uses_times(instance, scale)
    if not isinstance(other.terms, DenseTerms):  # decimal factors may decide ties of size anew
        other = replace(other, capacity=other.capacity * (1 + 1e-12))
    same_optimum(placed(instance), checked(other))


@pytest.mark.parametrize("law", [with_costs_times, with_uses_times])
@BOTH
def test_a_power_of_two_changes_no_digit(instance, law):
    """Scaling that floats do exactly gives the same plan, byte for byte."""
    assert flows(checked(law(instance, 2.0**20))) == flows(placed(instance))


def test_a_constant_on_a_row_is_added():
    """What a request pays wherever it goes is added to bound and plan."""
    extra, row = 7.0, 3
    other = checked(with_row_costs_plus(DENSE, row, extra))
    same_optimum(placed(DENSE), other, plus=extra * DENSE.count[row])


def test_an_unusable_region_changes_nothing():
    """Cheap room that nobody may use is no room."""
    same_optimum(placed(DENSE), checked(with_unusable_region(DENSE)))


@BOTH
def test_a_split_count_changes_nothing(instance):
    """Twelve units of one request are five of one and seven of its twin."""
    same_optimum(placed(instance), checked(with_split_counts(instance)))


@BOTH
def test_more_capacity_never_costs_more(instance):
    """The optimum does not rise: the bound stays below the old plan and the old bound."""
    before = placed(instance).certificate
    for region in (0, 5):
        after = checked(with_more_capacity(instance, region, 0.5)).certificate
        assert after.lower_bound_usd <= before.objective_usd
        size = abs(before.lower_bound_usd - before.unservable_usd)
        fewer = before.unservable_usd - after.unservable_usd  # some may have become servable
        assert after.lower_bound_usd <= before.lower_bound_usd + BOUND * size + max(fewer, 0.0)


@BOTH
def test_the_same_seed_gives_the_same_bytes(instance):
    """CONTRACT section 5: byte for byte."""
    again = checked(instance)
    assert flows(again) == flows(placed(instance))
    for name in ("capacity", "moves", "carbon"):
        first, second = (getattr(p.duals, name) for p in (again, placed(instance)))
        np.testing.assert_array_equal(first, second)


@BOTH
def test_other_seeds_give_plans_as_good(instance):
    """Chance decides ties, not quality: the bounds agree."""
    same_optimum(placed(instance), checked(instance, Settings(seed=12345)))


# edges


def shaped(**changes: Any) -> Instance:
    """A small dense instance with some arguments changed."""
    rng = np.random.default_rng(0)
    given = {
        "cost": rng.uniform(1.0, 9.0, (N, M)),
        "use": rng.uniform(0.5, 2.0, N),
        "capacity": np.full(M, 9.0),
        "unplaced": 100.0,
    }
    return Instance.from_arrays(**{**given, **changes})


def test_no_requests():
    """An hour without requests has an empty plan of cost 0."""
    placement = checked(with_rows(STRUCTURED, []))
    assert placement.certificate.objective_usd == placement.certificate.gap == 0
    assert len(placement.assignment.row) == 0


@pytest.mark.parametrize(
    ("capacity", "region", "objective"), [(1.0, 0, 2.0), (0.5, -1, 9.0), (0.0, -1, 9.0)]
)
def test_one_request_and_one_region(capacity, region, objective):
    """The smallest instance, with and without room."""
    instance = Instance.from_arrays(cost=[[2.0]], use=[1.0], capacity=[capacity], unplaced=[9.0])
    placement = checked(instance)
    assert placement.region.tolist() == [region]
    assert placement.certificate.objective_usd == objective
    assert placement.certificate.gap == 0


UNSERVABLE = {
    "nothing allowed": lambda: shaped(allowed=np.zeros((N, M), bool)),
    "no capacity": lambda: shaped(capacity=np.zeros(M)),
    "all too large": lambda: shaped(use=np.full(N, 10.0)),
}


@pytest.mark.parametrize("name", UNSERVABLE)
def test_all_unservable(name):
    """Nothing can be placed: the plan says so, and the gap is 0."""
    placement = checked(UNSERVABLE[name]())
    found = placement.certificate
    assert (placement.region == -1).all()
    assert found.unservable == found.unplaced == N
    assert found.gap == 0
    assert placement.status is Status.converged


EDGES: dict[str, Callable[[], Instance]] = {
    "one region": lambda: shaped(cost=np.arange(1.0, N + 1)[:, None], capacity=[20.0]),
    "one resource of nothing": lambda: shaped(
        use=np.c_[np.ones(N), np.zeros(N)], capacity=np.full((M, 2), 6.0)
    ),
    "a region of nothing": lambda: shaped(capacity=[0.0] + [9.0] * (M - 1)),
    "some use nothing": lambda: shaped(use=np.arange(N) % 2.0),
    "costs of both signs": lambda: shaped(cost=np.linspace(-5.0, 5.0, N * M).reshape(N, M)),
    "one dear pair": lambda: shaped(cost=np.where(np.arange(N * M) == 77, 1e9, 1.0).reshape(N, M)),
    "constant costs": lambda: shaped(cost=np.full((N, M), 1e6), unplaced=2e6),
    "zero costs and penalties": lambda: shaped(cost=np.zeros((N, M)), unplaced=0.0),
    "penalties below costs": lambda: shaped(unplaced=0.5),
    "huge penalties": lambda: shaped(unplaced=1e9),
    "penalties beyond float32": lambda: shaped(unplaced=1e60),
    "tiny costs": lambda: shaped(cost=np.full((N, M), 1e-30), unplaced=1e-29),
    "a million units a row": lambda: shaped(count=np.full(N, 10**6), capacity=np.full(M, 9e6)),
    "one huge count": lambda: shaped(
        count=np.where(np.arange(N) == 3, 10**6, 1), capacity=np.full(M, 1e5)
    ),
    "uses of all sizes": lambda: shaped(use=np.logspace(-6, 0.9, N)),
    "more room than any need": lambda: shaped(capacity=np.full(M, 1e12)),
    "one large unit": lambda: shaped(use=np.where(np.arange(N) == 5, 9.0, 0.5)),
}


@pytest.mark.parametrize("name", EDGES)
def test_an_edge_is_solved(name):
    """Feasible, certified, and the bound is the LP's (which whole units may miss)."""
    instance = EDGES[name]()
    found = checked(instance).certificate
    optimum = lp_optimum(with_costs_times(instance, 1e20) if name == "tiny costs" else instance)
    optimum *= 1e-20 if name == "tiny costs" else 1.0
    assert found.lower_bound_usd <= optimum + 1e-7 * abs(optimum)
    size = abs(optimum - found.unservable_usd)
    assert found.lower_bound_usd >= optimum - 1e-3 * size - 1e-12


def test_unservable_rows_beside_huge_penalties():
    """Penalties that nobody can avoid leave the others' gap alone."""
    allowed = np.ones((N, M), bool)
    allowed[:5] = False
    penalty = np.where(np.arange(N) < 5, 1e12, 100.0)
    found = checked(
        shaped(allowed=allowed, unplaced=penalty, capacity=np.full(M, 99.0))
    ).certificate
    assert found.unservable == 5
    assert found.gap <= 1e-3


# clocks and statuses


def test_time_over_gives_a_plan_all_the_same():
    """A limit too short for anything: a feasible plan, its bound, and the reason."""
    placement = checked(STRUCTURED, Settings(time_limit_s=1e-3, gap_target=0.0))
    assert placement.status is Status.time_limit


def test_the_step_limit_gives_a_plan_all_the_same():
    """One step of the relaxation: a feasible plan, its bound, and the reason."""
    placement = checked(STRUCTURED, Settings(solver=SolverSettings(max_steps=1)))
    assert placement.status is Status.step_limit
    assert max(point.step for point in placement.trace) <= 1


def test_a_plan_that_cannot_be_proven_is_stalled():
    """A gap that whole units leave open: the solve stops by itself and says so."""
    instance = shaped(use=np.full(N, 2.0), capacity=np.full(M, 3.0), unplaced=100.0)
    placement = checked(instance)  # one unit a region, where the relaxation has one and a half
    assert placement.status is Status.stalled
    assert placement.certificate.gap > 1e-3


@pytest.mark.parametrize("gap", [0.5, 0.05])
def test_a_gap_asked_for_is_enough(gap):
    """What converged means: the certified gap is at most the one asked for."""
    placement = checked(shaped(), Settings(gap_target=gap))
    assert placement.status is Status.converged
    assert placement.certificate.gap <= gap


def noted_attempts(monkeypatch):
    """A list that every attempt from now on is written to."""
    made = []
    round_plan = pipeline._Run.round

    def noted(self, compiled, state, goal, attempt):
        made.append(attempt)
        return round_plan(self, compiled, state, goal, attempt)

    monkeypatch.setattr(pipeline._Run, "round", noted)
    return made


@pytest.mark.parametrize(
    ("rows", "most", "gap", "warm", "feature", "attempts"),
    [
        (2100, {}, 0.5, False, "egress", [-HASTY]),
        (2100, {}, 0.0, False, "egress", [-HASTY, 0, 1]),
        (2000, {}, 0.5, False, "egress", [0]),
        (2000, {}, 0.0, False, "egress", [0]),
        (2000, {}, 0.0, True, "egress", [-HASTY, 0]),
        (2100, {"MANY_ROWS": 2050}, 0.5, False, "egress", [0]),
        (2100, {"MANY_ROWS": 2050}, 0.5, True, "egress", [0]),
        (2100, {"MANY_REGIONS": 4}, 0.5, True, "egress", [0]),
        (2100, {}, 0.5, False, "two_resources", [0]),
    ],
)
def test_haste_first(monkeypatch, rows, most, gap, warm, feature, attempts):
    """A hasty attempt, and patient ones if it is not good enough.

    But not for few or many rows, nor with many regions or several resources.
    """
    instance = random_instance(3, n=rows, m=5, features={feature})
    assert instance.rows == rows
    settings = Settings(gap_target=gap, time_limit_s=60.0, solver=SolverSettings(attempts=2))
    start = solve(instance, replace(settings, gap_target=0.5)) if warm else None
    made = noted_attempts(monkeypatch)
    monkeypatch.setattr(pipeline, "LITTLE", -np.inf)  # the last is not the one that brings little
    for name, value in most.items():
        monkeypatch.setattr(pipeline, name, value)
    solve(instance, settings, warm_start=start)
    assert made == attempts


@pytest.mark.parametrize(
    ("seconds", "most", "attempts", "status"),
    [
        (0.0, 2, [0, 1], Status.stalled),
        (1e3, 2, [0], Status.time_limit),
        (1e3, 1, [0], Status.stalled),
    ],
)
def test_no_attempt_begins_whose_rounding_would_end_too_late(
    monkeypatch, seconds, most, attempts, status
):
    """It takes as long as the last one; but where none would follow, the time is not why."""
    made = noted_attempts(monkeypatch)
    first = pipeline._Run.round

    def timed(self, *args):
        rounded = first(self, *args)
        self.rounding = seconds
        return rounded

    monkeypatch.setattr(pipeline._Run, "round", timed)
    instance = random_instance(3, n=2100, m=5, features={"two_resources"})
    settings = Settings(gap_target=0.0, time_limit_s=60.0, solver=SolverSettings(attempts=most))
    placement = solve(instance, settings)
    assert made == attempts
    assert placement.status is status


def test_a_near_miss_is_followed_by_another_hasty_attempt(monkeypatch):
    """Whatever misses the gap by less than the gap itself is near."""
    made = noted_attempts(monkeypatch)
    monkeypatch.setattr(pipeline, "CONTENT", 0.0)  # nothing is near enough
    instance = random_instance(3, n=2100, m=5, features={"egress"})
    solve(instance, Settings(gap_target=0.5, solver=SolverSettings(attempts=1)))
    assert made == [-HASTY, 1 - HASTY, 0]


@pytest.mark.parametrize("candidates", [1, 2, 100])
def test_any_number_of_candidates(candidates):
    """Few candidates cost quality, never feasibility."""
    checked(STRUCTURED, Settings(solver=SolverSettings(candidates=candidates)))


def test_progress_goes_on_through_a_long_search(monkeypatch):
    """Ejection chains take a while where the plan is not good enough: what they find is told."""
    monkeypatch.setattr(pipeline, "QUIET", 0.0)
    monkeypatch.setattr(chains, "MOST_LOOKS", 1 << 22)
    instance = dense_instance(0, n=40, m=5)
    placement = checked(instance, Settings(gap_target=0.0))
    plans = [point.plan for point in placement.trace if point.stage == "search"]
    assert len(plans) > 1
    assert all(later <= first for first, later in pairwise(plans))
    assert plans[-1] == pytest.approx(placement.certificate.objective_usd)


def test_progress_tells_of_every_checkpoint():
    """What is shown is what is kept; elapsed time and the best plan only improve."""
    shown: list[Checkpoint] = []
    placement = checked(DENSE, progress=shown.append)
    assert tuple(shown) == placement.trace
    assert {"relax", "round", "repaired"} <= {point.stage for point in shown}
    assert all(a.elapsed_s <= b.elapsed_s for a, b in pairwise(shown))
    plans = [point.plan for point in shown if point.plan is not None]
    assert all(later <= first for first, later in pairwise(plans))
    final = placement.certificate
    assert plans[-1] + final.unservable_usd == pytest.approx(final.objective_usd)


@BOTH
def test_another_hour_does_not_compile_again(instance):
    """The same shape with other numbers meets compiled programs only."""
    placed(instance)
    solve(with_costs_times(instance, 1.7))
    before = runtime.compile_seconds()
    placement = solve(with_costs_times(instance, 1.3))
    assert runtime.compile_seconds() == before
    assert placement.timings_s["compile"] == 0


def test_another_number_of_requests_does_not_compile_again():
    """Sizes are bucketed: a few rows fewer or more meet compiled programs only."""
    placed(DENSE)
    solve(with_rows(DENSE, np.arange(N - 2)))
    before = runtime.compile_seconds()
    solve(with_rows(DENSE, np.arange(N - 5)))
    assert runtime.compile_seconds() == before


# CONTRACT section 6


RNG = np.random.default_rng(8)
SHAPES = {
    "[n]": (RNG.uniform(0.5, 2.0, N), np.full(M, 9.0)),
    "[n, R]": (RNG.uniform(0.5, 2.0, (N, 2)), np.full((M, 2), 9.0)),
    "[n, m]": (RNG.uniform(0.5, 2.0, (N, M)), np.full(M, 9.0)),
    "[n, m, R]": (RNG.uniform(0.5, 2.0, (N, M, 2)), np.full((M, 2), 9.0)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_use(shape):
    """`region` is a plan that keeps every capacity, computed here from the arrays themselves."""
    use, capacity = SHAPES[shape]
    cost = np.random.default_rng(9).uniform(1.0, 9.0, (N, M))
    placement = checked(Instance.from_arrays(cost=cost, use=use, capacity=capacity, unplaced=50.0))
    region = placement.region
    assert region.shape == (N,)
    assert np.issubdtype(region.dtype, np.integer)
    at = np.nonzero(region >= 0)[0]
    taken = use[at, region[at]] if shape.startswith("[n, m") else use[at]
    load = np.zeros((M, capacity.reshape(M, -1).shape[1]))
    np.add.at(load, region[at], taken.reshape(len(at), -1))
    assert (load <= capacity.reshape(M, -1) * (1 + 1e-9)).all()
    total = cost[at, region[at]].sum() + 50.0 * (region < 0).sum()
    assert total == pytest.approx(placement.certificate.objective_usd)


def test_counts_and_masks_from_arrays():
    """`count` and `allowed` are kept; a default penalty is told."""
    allowed = np.random.default_rng(3).random((N, M)) < 0.5
    instance = shaped(
        allowed=allowed, count=np.arange(N) + 1, capacity=np.full(M, 120.0), unplaced=None
    )
    placement = checked(instance)
    plan = placement.assignment
    on = plan.region >= 0
    assert allowed[plan.row[on], plan.region[on]].all()
    assert any("unplaced" in note for note in instance.notes)
    with pytest.raises(InputError, match="region"):
        _ = placement.region


# warm starts


@BOTH
def test_a_warm_start_is_as_good(instance):
    """From its own duals a solve ends with the same bound, and no plan much dearer."""
    cold = placed(instance)
    warm = checked(instance, warm_start=cold)
    same_optimum(cold, warm)
    assert warm.certificate.gap <= cold.certificate.gap + 5e-3


@BOTH
def test_a_warm_start_of_another_hour(instance):
    """Duals of other prices and requests are a start, and never a limit."""
    other = with_costs_times(instance, 5.0)
    same_optimum(checked(other), checked(other, warm_start=placed(instance)))
    fewer = with_rows(instance, np.arange(instance.rows - 9))
    same_optimum(checked(fewer), checked(fewer, warm_start=placed(instance)))


def test_a_warm_start_with_other_budgets():
    """A budget that is new or gone does not matter."""
    free = replace(STRUCTURED, policy=replace(STRUCTURED.policy, max_moves=None))
    same_optimum(checked(free), checked(free, warm_start=placed(STRUCTURED)))
    same_optimum(placed(STRUCTURED), checked(STRUCTURED, warm_start=checked(free)))


def test_a_warm_start_over_other_regions_is_refused():
    """Duals belong to regions and resources; which are others, is the caller's mistake."""
    with pytest.raises(InputError, match="warm_start"):
        solve(with_unusable_region(DENSE), warm_start=placed(DENSE))
    with pytest.raises(InputError, match="warm_start"):
        solve(STRUCTURED, warm_start=placed(DENSE))
    renamed = replace(DENSE, region_id=DENSE.region_id + 1)
    with pytest.raises(InputError, match="warm_start"):
        solve(renamed, warm_start=placed(DENSE))
