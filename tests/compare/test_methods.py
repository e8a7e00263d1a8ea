"""Every adapter, as a process, on instances whose optimum is known."""

import highs
import planted
import pytest
from instances import random_instance

from jaxplace.compare.judge import FALSE, INFEASIBLE
from jaxplace.compare.methods import METHODS
from jaxplace.compare.runner import compare
from jaxplace.compare.settings import CompareSettings, MethodSettings, Pdlp, Sinkhorn


FEATURED = random_instance(4, features={"counts", "egress", "latency", "residency", "carbon"})
SETTINGS = CompareSettings(
    time_limit_s=60.0,
    grace_s=120.0,
    method=MethodSettings(ortools_pdlp=Pdlp(1e-7), mpax=Pdlp(1e-6), ott_sinkhorn=Sinkhorn(1e-3)),
)
EXACT = {"highs_mip", "cp_sat", "scip", "min_cost_flow"}
FRACTIONAL = {"highs_lp", "highs_simplex", "ortools_pdlp", "pot_emd", "mpax"}
NEAR = {"ott_sinkhorn": 2e-3, "agd_ridge": 2e-3}  # share by which the answer may miss
RULES = {"greedy", "nearest", "local_search", "pop", "jaxplace"}


@pytest.fixture(scope="module")
def known():
    """Rows by method on a transport problem of whole numbers, and its optimum."""
    instance, optimum = planted.transport()
    rows = compare({"transport": instance}, METHODS, SETTINGS)
    return {row.method: row for row in rows}, optimum


def _row(rows, method):
    row = rows[method]
    if row.outcome == "missing":
        pytest.skip(f"{method}: {row.message}")
    return row


def test_every_method_is_tested():
    """A new adapter has to say what is expected of it."""
    assert set(METHODS) == EXACT | FRACTIONAL | set(NEAR) | RULES


@pytest.mark.parametrize("method", sorted(METHODS))
def test_plans_hold(known, method):
    """Every method ends by itself with a feasible plan that is no cheaper than the optimum."""
    rows, optimum = known
    row = _row(rows, method)
    if method == "nearest":
        assert row.outcome == "not_applicable"
        return
    assert row.outcome == "finished", row.message
    assert row.verdict not in (INFEASIBLE, FALSE), row.faults
    assert row.objective_usd >= optimum * (1 - 1e-9)
    assert row.bound_usd is None or row.bound_usd <= optimum * (1 + 1e-9)
    assert row.seconds > 0
    assert row.peak_rss_bytes > 0


@pytest.mark.parametrize("method", sorted(EXACT))
def test_exact_methods_find_the_optimum(known, method):
    """Whole units at the optimum, which they say themselves."""
    rows, optimum = known
    row = _row(rows, method)
    assert row.objective_usd == pytest.approx(optimum, rel=1e-4)
    assert row.claimed_usd == pytest.approx(row.objective_usd, rel=1e-6)
    assert row.claimed_bound_usd == pytest.approx(optimum, rel=1e-3)


@pytest.mark.parametrize("method", sorted(FRACTIONAL))
def test_relaxations_find_the_optimum(known, method):
    """Fractional units at the optimum, a bound that certifies it, and whole units near it."""
    rows, optimum = known
    row = _row(rows, method)
    assert row.fraction_usd == pytest.approx(optimum, rel=1e-4)
    assert row.fraction_overload < 1e-3
    assert row.bound_usd == pytest.approx(optimum, rel=1e-4)
    assert row.objective_usd == pytest.approx(optimum, rel=5e-3)
    assert row.finish_s > 0


@pytest.mark.parametrize("method", sorted(NEAR))
def test_smoothed_methods_come_near(known, method):
    """Within what their smoothing costs."""
    rows, optimum = known
    row = _row(rows, method)
    assert row.fraction_usd == pytest.approx(optimum, rel=NEAR[method])
    assert optimum * (1 - NEAR[method]) <= row.bound_usd <= optimum


def test_ours_is_certified(known):
    """jaxplace's own row has plan, bound, and the way to them."""
    rows, optimum = known
    row = rows["jaxplace"]
    assert row.gap <= 1e-3
    assert row.objective_usd <= optimum * 1.001
    assert row.trace
    assert row.seconds_to_target == row.seconds


def test_flow_duals_certify(known):
    """The duals that are read off a flow prove that it is the best."""
    rows, optimum = known
    assert _row(rows, "min_cost_flow").bound_usd == pytest.approx(optimum, rel=1e-9)


def test_featured_instances():
    """Latency, residency, carbon: the relaxations agree with HiGHS, nearest has a plan."""
    names = ["highs_simplex", "pot_emd", "ortools_pdlp", "agd_ridge", "nearest", "min_cost_flow"]
    rows = compare({"featured": FEATURED}, {n: METHODS[n] for n in names}, SETTINGS)
    optimum = highs.lp_optimum(FEATURED)
    for row in rows:
        if row.method == "min_cost_flow" and row.outcome != "missing":
            assert row.outcome == "not_applicable"
        elif row.outcome != "missing":
            assert row.objective_usd >= optimum * (1 - 1e-9), row.method
            if row.bound_usd is not None:
                assert row.bound_usd == pytest.approx(optimum, rel=2e-3), row.method


def test_budgets_and_several_resources():
    """What has budgets and two resources is solved where it can be stated, else refused."""
    instance = random_instance(3)
    names = ["highs_simplex", "highs_mip", "agd_ridge", "local_search", "pot_emd", "ott_sinkhorn"]
    rows = compare({"all": instance}, {n: METHODS[n] for n in names}, SETTINGS)
    optimum = highs.lp_optimum(instance)
    for row in rows:
        if row.method in ("pot_emd", "ott_sinkhorn"):
            assert row.outcome in ("missing", "not_applicable")
        else:
            assert row.verdict == "finished", (row.method, row.faults, row.message)
            assert row.objective_usd >= optimum * (1 - 1e-9)
    simplex, whole = rows[0], rows[1]
    assert simplex.bound_usd == pytest.approx(optimum, rel=1e-6)
    assert whole.objective_usd <= simplex.objective_usd
