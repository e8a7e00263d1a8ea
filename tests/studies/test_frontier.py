"""The frontier: its definitions on a case solved by hand, its laws on fleets."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from studies import cases

import jaxplace
import jaxplace.studies.frontier as studies_frontier
from jaxplace import pipeline
from jaxplace.certify import certify
from jaxplace.errors import InputError
from jaxplace.studies import variants
from jaxplace.studies.breakeven import break_even
from jaxplace.studies.frontier import frontier, rises
from jaxplace.studies.homes import between_ms, homes, relocatable
from jaxplace.studies.settings import FrontierSettings
from jaxplace.studies.warm import cheapest, with_plan_of


def drawn(scenario, policy=None, **options):
    """The frontier of a scenario's first hour."""
    return jaxplace.frontier(scenario.at(policy=policy), options=FrontierSettings(**options))


def test_definitions_by_hand():
    """Ten units of 1 kWh go from 100 over 50 to 10 USD/MWh as 10, 30 and 300 ms allow."""
    points = drawn(cases.three(), budgets_ms=[300, 10, 30]).points
    assert points["budget_ms"].tolist() == [10, 30, 300]
    assert points["objective_usd"].tolist() == pytest.approx([1.0, 0.5, 0.1])
    assert points["carbon_kg"].tolist() == pytest.approx([2.0, 4.0, 1.0])
    assert points["relocatable_kwh"].tolist() == [0, 10, 10]
    assert points["relocated_kwh"].tolist() == [0, 10, 10]
    assert points["share_local"].tolist() == [1, 0, 0]
    assert points["share_regional"].tolist() == [0, 1, 0]
    assert points["share_energy"].tolist() == [0, 0, 1]
    energy = points["energy_return_usd_per_mwh_ms"].tolist()
    carbon = points["carbon_return_kg_per_mwh_ms"].tolist()
    assert math.isnan(energy[0])
    assert energy[1:] == pytest.approx([(100 - 50) / 20, (50 - 10) / 270])
    assert carbon[1:] == pytest.approx([-200 / 20, 300 / 270])
    assert (points["gap"] <= 1e-3).all()


def test_regional_is_near_in_time_too():
    """`far` lies 5 + 200 ms from home by way of the origin."""
    assert between_ms(cases.three().at().terms, np.array([0]), np.array([2])) == [205]
    points = drawn(cases.three(), budgets_ms=[300], regional_ms=205).points
    assert points["share_regional"].tolist() == [1]


def test_capacity_flattens_the_curve():
    """With room for four at `far` six stay at `mid`; lifted, all ten leave."""
    found = drawn(cases.three(capacity=(100, 100, 4)), budgets_ms=[30, 300], unlimited=True)
    cost = found.points.groupby("series")["objective_usd"].apply(list)
    assert cost["plan"] == pytest.approx([0.5, 0.34])
    assert cost["capacity lifted"] == pytest.approx([0.5, 0.1])
    far = found.duals[(found.duals["region"] == "far") & (found.duals["budget_ms"] == 300)]
    assert far["dual_usd"].tolist() == pytest.approx([0.04], rel=0.05)


def test_kinds_of_budgets():
    """Budgets are set, scaled, or left to the network; client's way and service time count."""
    requests = pd.DataFrame(
        {
            "request_id": ["a", "b"],
            "origin": ["o", "o"],
            "energy_kwh": [1.0, 1.0],
            "use_gpu": [1.0, 1.0],
            "latency_budget_ms": [100.0, np.nan],
            "client_rtt_ms": [7.0, 7.0],
        }
    )
    hosting = pd.DataFrame(
        {
            "workload": ["default"] * 2,
            "region": ["near", "mid"],
            "service_ms": [40.0, 30.0],
        }
    )
    instance = cases.three(requests=requests, hosting=hosting).at()
    for kind, value, left in (
        ("budgets_ms", 60.0, 53.0),
        ("scale", 0.5, 43.0),
        ("network_ms", 20.0, 43.0),
    ):
        budget = variants.with_budgets(instance, kind, value).terms.latency_budget_ms
        assert budget.tolist() == [left, np.inf], kind
    assert variants.mean_budget_ms(instance) == 100


def test_home_is_where_it_runs_else_the_nearest_that_hosts():
    """A unit without a current region is at home at the nearest region that would take it."""
    requests = pd.DataFrame(
        {
            "request_id": ["new", "old", "big"],
            "origin": ["o"] * 3,
            "energy_kwh": [1.0] * 3,
            "use_gpu": [1.0, 1.0, 50.0],
            "latency_budget_ms": [10.0, 10.0, 10.0],
            "current_region": [None, "far", None],
        }
    )
    hosting = pd.DataFrame({"workload": ["default"] * 2, "region": ["mid", "far"]})
    instance = cases.three(requests=requests, hosting=hosting, capacity=(9, 9, 99)).at()
    home = homes(instance)
    assert home.tolist() == [1, 2, 2]
    loose = variants.with_budgets(instance, "budgets_ms", 250.0)
    assert relocatable(loose, home).tolist() == [True, True, False]
    assert relocatable(instance, home).tolist() == [False, False, False]


def test_ladder_by_hand():
    """Moving away costs 0.02 a unit, egress abroad 0.03: each rung adds its own."""
    requests = pd.DataFrame(
        {
            "request_id": ["q"],
            "origin": ["o"],
            "energy_kwh": [1.0],
            "use_gpu": [1.0],
            "count": [10],
            "latency_budget_ms": [100.0],
            "egress_gb": [1.0],
            "current_region": ["near"],
            "residency": ["de"],
        }
    )
    law = pd.DataFrame({"residency": ["de"], "country": ["DE"]})
    policy = jaxplace.Policy(move_usd=0.02, transfer_usd_per_gb=0.03)
    scenario = cases.three(requests=requests, residency=law, capacity=(100, 3, 100))
    found = drawn(scenario, policy, budgets_ms=[300], ladder=True)
    cost = dict(zip(found.points["series"], found.points["objective_usd"], strict=True))
    assert cost == pytest.approx(
        {
            "latency only": 10 * 0.01,
            "+ migration": 10 * (0.01 + 0.02),
            "+ egress": 10 * (0.01 + 0.02 + 0.03),
            "+ residency": 10 * (0.05 + 0.02),
            "plan": 3 * (0.05 + 0.02) + 7 * 0.1,
        }
    )


def test_break_even_by_hand():
    """Going from `near` to `far` saves 0.09, costs 0.02 to move and 0.03 of egress."""
    requests = pd.DataFrame(
        {
            "request_id": ["q", "p"],
            "origin": ["o", "o"],
            "energy_kwh": [1.0, 3.0],
            "use_gpu": [1.0, 1.0],
            "egress_gb": [1.0, 1.0],
            "current_region": ["near", "near"],
        }
    )
    policy = jaxplace.Policy(move_usd=0.02, transfer_usd_per_gb=0.03)
    instance = cases.three(requests=requests).at(policy=policy)
    table = pd.concat(break_even(cheapest(instance, jaxplace.Settings()), homes(instance)))
    rows = table.set_index("region")
    assert rows["units"].tolist() == [2, 2, 2]
    assert rows.loc["far", "saving_usd"] == pytest.approx(2 * 0.09)  # 2 kWh on average
    assert rows.loc["far", "egress_usd"] == pytest.approx(0.03)
    assert rows.loc["far", "move_usd"] == pytest.approx(0.02)
    assert rows.loc["far", "net_usd"] == pytest.approx(0.13)
    assert rows.loc["far", "break_even_usd_per_mwh"] == pytest.approx(10 + 130 / 2)
    assert rows.loc["near", "net_usd"] == 0
    assert rows["worth_it"].tolist() == [False, True, True]


@pytest.mark.parametrize("kind", ["scale", "network_ms"])
def test_cost_never_rises(kind):
    """Looser budgets never cost more, at every price of carbon, and carbon falls with its price."""
    values = {"scale": [0.4, 1.0, 3.0], "network_ms": [30.0, 90.0, 400.0]}[kind]
    found = drawn(cases.fleet(), **{kind: values}, carbon_prices=[0.0, 300.0])
    points = found.points.set_index(["carbon_price_usd_per_t", found.label])
    for price in (0.0, 300.0):
        assert points.loc[price]["objective_usd"].is_monotonic_decreasing
    loose = points.xs(values[-1], level=1)
    assert loose.loc[300.0, "carbon_kg"] < loose.loc[0.0, "carbon_kg"]
    assert not [note for note in found.notes if "rises" in note]
    shares = points[["share_local", "share_regional", "share_energy"]].sum(axis=1)
    assert np.allclose(shares, 1)


def test_solved_from_the_middle(monkeypatch):
    """The middle budget is solved cold; its plan stays where it is within half the gap."""
    asked = []
    solve, warm = pipeline.solve, studies_frontier.warm_solve

    def cold(instance, *rest, **more):
        asked.append(("cold", instance.terms.latency_budget_ms.max()))
        return solve(instance, *rest, **more)

    def near(instance, settings, previous, progress):
        asked.append(("warm", instance.terms.latency_budget_ms.max()))
        return warm(instance, settings, previous, progress)

    monkeypatch.setattr(studies_frontier.pipeline, "solve", cold)
    monkeypatch.setattr(studies_frontier, "warm_solve", near)
    options = FrontierSettings(budgets_ms=[10.0, 30.0, 300.0, 3000.0])
    found = frontier(cases.three().at(), options=options)
    assert [step for step in asked if step[0] == "warm"] == [
        ("warm", 300.0),
        ("warm", 3000.0),
        ("warm", 10.0),
    ]
    assert asked[0] == ("cold", 30.0)
    assert [plan.certificate.objective_usd for plan in found.plans] == pytest.approx(
        found.points["objective_usd"]
    )


def test_a_cheaper_plan_of_a_tighter_budget_is_taken():
    """Never the other way: what the looser budget allows may be forbidden by the tighter one."""
    instance = cases.three().at()
    tight, loose = (
        pipeline.solve(variants.with_budgets(instance, "budgets_ms", ms)) for ms in (10.0, 300.0)
    )
    assert with_plan_of(loose, tight) is loose
    assert with_plan_of(tight, loose) is tight
    dear = dataclasses.replace(
        loose,
        assignment=tight.assignment,
        certificate=certify(loose.instance, tight.assignment, loose.duals),
    )
    assert with_plan_of(dear, loose).certificate.objective_usd == pytest.approx(
        loose.certificate.objective_usd
    )


def test_a_rise_is_told():
    """A cost that rises by more than the gap has a note."""
    points = pd.DataFrame(
        {
            "series": "plan",
            "carbon_price_usd_per_t": 0.0,
            "budget_ms": [10.0, 20.0, 30.0],
            "objective_usd": [5.0, 6.0, 6.05],
            "lower_bound_usd": [5.0, 5.9, 6.0],
        }
    )
    notes = list(rises(points))
    assert len(notes) == 1
    assert "rises by 1 USD at 20 ms" in notes[0]


def test_what_becomes_unservable_is_told():
    """At 3 ms nobody can be served: the note has the share, the rows their penalty."""
    found = drawn(cases.three(), budgets_ms=[3, 30])
    assert found.points["unservable"].tolist() == [10, 0]
    assert found.points["unservable_kwh"].tolist() == [10, 0]
    assert "100.0 % of the IT energy has no allowed region" in found.notes[0]
    assert math.isnan(found.points["cost_usd_per_mwh"][0])


def test_without_budgets():
    """Where nobody has a budget, every point is the same and the notes say so."""
    found = drawn(cases.fleet(budgets=False), scale=[1.0, 2.0])
    assert found.points["objective_usd"].nunique() == 1
    assert "No request has a finite latency budget" in found.notes[-1]
    assert found.points["energy_return_usd_per_mwh_ms"].isna().all()


def test_modelled_latency():
    """56 ms and 0.014 ms a km: a quarter round the equator is 10,008 km."""
    instance = cases.three().at()
    assert variants.modelled_rtt_ms(instance)[0] == pytest.approx([56, 57.557, 196.106], abs=0.01)
    error = variants.model_error(instance)
    assert error["pairs"] == 3
    assert error["median_absolute_ms"] == pytest.approx(37.557, abs=0.01)
    points = drawn(cases.three(), budgets_ms=[57, 250], modelled=True).points
    cost = points.groupby("series")["objective_usd"].apply(list)
    assert cost["modelled RTT"] == pytest.approx([1.0, 0.1])


def test_matrices_are_refused():
    """An instance from arrays has no latency."""
    matrix = jaxplace.Instance.from_arrays(cost=np.ones((2, 2)), use=np.ones(2), capacity=[2, 2])
    with pytest.raises(InputError, match="frontier"):
        jaxplace.frontier(matrix)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": []},
        {"scale": [0.0]},
        {"budgets_ms": [math.nan]},
        {"carbon_prices": [-1.0]},
        {"regional_ms": -1.0},
        {"scale": [1.0], "network_ms": [1.0]},
    ],
)
def test_settings_are_checked(wrong):
    """Empty lists, zeros, NaN and two lists at once are refused by name."""
    with pytest.raises(InputError, match=r"frontier\."):
        FrontierSettings(**wrong)
