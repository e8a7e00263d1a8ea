"""Explanations on cases solved by hand; a saved plan says the same as the plan itself."""

import numpy as np
import pandas as pd
import pytest
from scenario.builders import EVERYTHING, small_tables, write_folder
from studies import cases

import jaxplace
from jaxplace.studies.explain import explain, options, reasons
from jaxplace.studies.saved import read_plan


def test_request_by_hand():
    """Every region has its costs; the one out of reach says by how much."""
    placement = jaxplace.solve(cases.three().at())
    found = explain(placement, request="q")
    table = next(iter(found.tables.values())).set_index("region")
    assert table.index.tolist() == ["mid", "near", "far"]
    assert table["allowed"].tolist() == [True, True, False]
    assert table["units"].tolist() == [10, 0, 0]
    assert table["energy_usd"].tolist() == pytest.approx([0.05, 0.1, 0.01])
    assert table["above_best_usd"].tolist()[:2] == pytest.approx([0, 0.05])
    assert table.loc["far", "why_not"] == "latency: 100 ms over the budget"
    assert "10 units run at mid: the least reduced cost" in found.says[0]
    assert found.facts["latency budget [ms]"] == 100


def test_every_rule_is_named():
    """Latency, residency, hosting, size and a missing pair each have their words."""
    requests = pd.DataFrame(
        {
            "request_id": ["q"],
            "origin": ["o"],
            "energy_kwh": [1.0],
            "use_gpu": [5.0],
            "latency_budget_ms": [10.0],
            "residency": ["us"],
        }
    )
    scenario = cases.three(
        requests=requests,
        capacity=(3, 9, 9),
        residency=pd.DataFrame({"residency": ["us"], "country": ["US"]}),
        hosting=pd.DataFrame({"workload": ["default"] * 2, "region": ["near", "mid"]}),
        latency=pd.DataFrame(
            {"origin": ["o"] * 2, "region": ["near", "mid"], "rtt_ms": [5.0, 20.0]}
        ),
    )
    near, mid, far = reasons(scenario.at(), 0)
    assert near == (
        "residency: the country (DE) is not listed; size: one unit needs 2 gpu more than there is"
    )
    assert mid == "latency: 10 ms over the budget; residency: the country (DE) is not listed"
    assert far == (
        "unreachable: no latency for the pair; hosting: the workload is not hosted there"
    )
    found = explain(jaxplace.solve(scenario.at()), request="q")
    assert "unservable" in found.says[0]


def test_region_by_hand():
    """`far` has room for four of ten: six would like to come, and bid what `mid` costs more."""
    scenario = cases.three(capacity=(100, 100, 4))
    requests = scenario.tables["requests"].assign(latency_budget_ms=[300.0])
    requests["origin"] = requests["origin"].astype(object)
    placement = jaxplace.solve(cases.three(requests=requests, capacity=(100, 100, 4)).at())
    found = explain(placement, region="far")
    there, wanted = found.tables.values()
    assert there["units"].tolist() == [4]
    assert there["cost_usd"].tolist() == pytest.approx([0.01])
    assert there["advantage_usd"].tolist() == pytest.approx([0.04])
    assert wanted["units"].tolist() == [6]
    assert wanted["bid_usd"].tolist() == pytest.approx([0.04])
    assert found.facts["gpu dual [USD per unit]"] == pytest.approx(0.04, rel=0.05)
    assert (
        explain(placement, region="near")
        .tables["Who is there, and what the next best would cost"]
        .empty
    )


def test_reduced_costs_agree_with_the_bound():
    """The least reduced cost of every row, summed, less capacity's worth, is the bound."""
    placement = jaxplace.solve(cases.fleet().at())
    instance, duals = placement.instance, placement.duals.capacity
    total = 0.0
    for row in range(instance.rows):
        table = options(placement, row)
        least = table.loc[table["allowed"], "reduced_usd"].min()
        least = instance.unplaced[row] if np.isnan(least) else min(least, instance.unplaced[row])
        total += instance.count[row] * least
    total -= (instance.capacity * duals).sum()
    assert total == pytest.approx(placement.certificate.lower_bound_usd, rel=1e-9)


@pytest.mark.parametrize("ask", [{"request": 1007}, {"request": "1007"}, {"region": 12}])
def test_integer_ids(ask):
    """Ids that are numbers are found as numbers and as text."""
    placement = jaxplace.solve(cases.fleet(integer_ids=True).at())
    assert explain(placement, **ask).tables


@pytest.mark.parametrize("ask", [{}, {"request": "q", "region": "far"}, {"region": "fra"}])
def test_bad_questions(ask):
    """Nothing, two things, or an id that is not there."""
    placement = jaxplace.solve(cases.three().at())
    with pytest.raises(jaxplace.InputError):
        explain(placement, **ask)


def test_matrices():
    """An instance from arrays can be explained too."""
    placement = jaxplace.solve(
        jaxplace.Instance.from_arrays(
            cost=[[1.0, 2.0], [1.0, 5.0]],
            use=[1.0, 1.0],
            capacity=[1.0, 5.0],
            allowed=np.array([[True, True], [True, False]]),
        )
    )
    table = next(iter(explain(placement, request=1).tables.values()))
    assert table["why_not"].tolist() == ["", "not allowed by the matrix"]
    assert explain(placement, region=0).tables


@pytest.mark.parametrize("current", [False, True])
def test_saved_plan_is_the_plan(tmp_path, current):
    """Read back, a plan costs the same to the last bit of its moves, parts or not."""
    tables = small_tables(**{**EVERYTHING, "current": current})
    folder = write_folder(tmp_path / "tables", tables)
    instance = jaxplace.load_scenario(folder).at()
    placement = jaxplace.solve(instance)
    placement.save(tmp_path / "plan")
    again = read_plan(tmp_path / "plan", instance)
    assert again.certificate.objective_usd == placement.certificate.objective_usd
    assert again.certificate.lower_bound_usd == placement.certificate.lower_bound_usd
    assert again.certificate.moves == placement.certificate.moves


def test_plan_of_another_scenario(tmp_path):
    """A plan of other tables is refused in words."""
    jaxplace.solve(cases.three().at()).save(tmp_path / "plan")
    with pytest.raises(jaxplace.InputError, match="scenario=FOLDER"):
        read_plan(tmp_path / "plan", cases.fleet().at())
    with pytest.raises(jaxplace.InputError, match=r"summary\.json cannot be read"):
        read_plan(tmp_path, cases.fleet().at())
