"""Warm solves: as good as asked, never worse than the plan they start from."""

import dataclasses

import numpy as np
import pytest
from instances import random_instance

import jaxplace
from jaxplace import pipeline
from jaxplace.certify import certify
from jaxplace.studies import variants, warm


FEATURES = {"counts", "egress", "hosting", "latency", "moves", "residency", "two_resources"}


@pytest.fixture(scope="module")
def base():
    """A solved instance of 600 rows."""
    return jaxplace.solve(random_instance(3, n=600, m=12, features=FEATURES, tightness=0.8))


@pytest.mark.parametrize("free", [150, 10**9])
@pytest.mark.parametrize("region", [0, 7])
def test_closing(base, free, region, monkeypatch):
    """With a region closed nobody is there; held rows or not, the certificate is the whole's."""
    monkeypatch.setattr(warm, "FREE_ROWS", free)
    monkeypatch.setattr(warm, "MOST_FREE", 1.0)
    shut = variants.closed(base.instance, np.array([region]))
    found = warm.warm_solve(shut, jaxplace.Settings(gap_target=5e-3), base)
    proof = certify(shut, found.assignment, found.duals)
    assert proof.feasible
    assert proof.objective_usd == found.certificate.objective_usd
    assert found.certificate.gap < 0.02
    assert not (found.assignment.region == region).any()
    assert found.certificate.objective_usd >= base.certificate.lower_bound_usd


def solves(instance, previous, monkeypatch):
    """A warm placement, and how many solves it took."""
    calls, solve = [], pipeline.solve
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "solve", lambda *a, **k: calls.append(a) or solve(*a, **k))
        patch.setattr(warm, "HOPELESS", np.inf)
        found = warm.warm_solve(instance, jaxplace.Settings(gap_target=1e-9), previous)
    return found, len(calls)


def test_no_patience_where_less_than_a_unit_is_missing(monkeypatch):
    """One unit that has room only in parts leaves a gap below its penalty: that is kept."""
    cost = np.random.default_rng(0).random((40, 4)) + 10.0
    use = np.r_[[3.0], np.ones(39)]
    case = jaxplace.Instance.from_arrays(
        cost=cost, use=use, capacity=np.full(4, 10.5), unplaced=np.r_[[40.0], np.full(39, 1e3)]
    )
    dearer = dataclasses.replace(case, unplaced=case.unplaced + 0.1)
    found, number = solves(dearer, jaxplace.solve(case), monkeypatch)
    assert found.certificate.unplaced == warm.without_room(found).sum() == 1
    assert number == 1


def test_patience_where_all_have_room(base, monkeypatch):
    """A missed gap is worked on; units that no region allows do not count."""
    found, number = solves(variants.closed(base.instance, np.array([0])), base, monkeypatch)
    assert found.certificate.unservable > 0
    assert not warm.without_room(found).any()
    assert number == 2


def test_nothing_to_gain(base):
    """A plan whose gap did not grow is handed back."""
    found = warm.warm_solve(base.instance, jaxplace.Settings(gap_target=0.5), base)
    assert found.assignment is base.assignment


def test_never_worse(base):
    """Where a rule is relaxed the earlier plan is one to beat, even if no time is given."""
    terms = base.instance.terms
    loose = dataclasses.replace(terms, latency_budget_ms=terms.latency_budget_ms * 3)
    loose = dataclasses.replace(base.instance, terms=loose)
    settings = jaxplace.Settings(gap_target=1e-9, time_limit_s=0.01)
    found = warm.warm_solve(loose, settings, base)
    assert found.certificate.feasible
    assert found.certificate.objective_usd <= base.certificate.objective_usd


def test_cheapest_is_the_optimum_without_capacity(base):
    """Each row at its least cost: the bound of no duals at all is met."""
    found = warm.cheapest(
        dataclasses.replace(base.instance, capacity=base.instance.capacity * 1e6),
        jaxplace.Settings(),
    )
    assert found.certificate.feasible
    assert found.certificate.gap < 1e-6


def test_fleet_budgets_are_kept(base):
    """With a budget on moves all rows are solved together, and the budget holds."""
    policy = dataclasses.replace(base.instance.policy, max_moves=base.certificate.moves)
    case = dataclasses.replace(base.instance, policy=policy)
    shut = variants.closed(case, np.array([1]))
    held = dataclasses.replace(shut.policy, max_moves=10.0 * base.certificate.moves)
    shut = dataclasses.replace(shut, policy=held)
    found = warm.warm_solve(shut, jaxplace.Settings(gap_target=1e-2), base)
    assert found.certificate.feasible
    assert found.certificate.moves <= held.max_moves
