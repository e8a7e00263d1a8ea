"""The audit on a case solved by hand, and its laws on a fleet."""

import pandas as pd
import pytest
from studies import cases

import jaxplace
from jaxplace.studies.audit import audit, members
from jaxplace.studies.settings import AuditSettings, By


def closings(scenario, **options):
    """The audit's rows by name."""
    found = audit(scenario.at(), options=AuditSettings(**options))
    return found.closings.set_index(found.by.value)


def two_requests():
    """Ten units that only `near` may serve, ten that may run anywhere."""
    return pd.DataFrame(
        {
            "request_id": ["close", "free"],
            "origin": ["o", "o"],
            "energy_kwh": [1.0, 1.0],
            "use_gpu": [1.0, 1.0],
            "count": [10, 10],
            "latency_budget_ms": [10.0, None],
            "unplaced_usd": [7.0, 7.0],
        }
    )


def test_by_hand():
    """`far` has room for four of the free units, `mid` for the rest."""
    rows = closings(cases.three(requests=two_requests(), capacity=(10, 8, 4)))
    # open: 10 x 0.1 + 4 x 0.01 + 6 x 0.05
    assert rows.loc["far", "extra_cost_usd"] == pytest.approx(4 * 0.05 - 4 * 0.01 - 2 * 0.05 + 14)
    assert rows.loc["far", "unplaced"] == 2
    assert rows.loc["far", "short_gpu"] == 2
    assert rows.loc["far", "lost_gpu"] == 4
    assert rows.loc["far", "units"] == 4
    assert rows.loc["far", "mend_region"] in ("mid", "near")
    assert rows.loc["far", "mend_usd"] == pytest.approx(6.95, rel=0.05)
    assert not rows.loc["far", "only_region"]
    assert rows.loc["near", "captive_units"] == 10
    assert rows.loc["near", "only_region"]
    assert rows.loc["near", "extra_cost_usd"] == pytest.approx(10 * (7 - 0.1))
    assert rows.loc["near", "short_gpu"] == 0
    assert rows.index[0] == "near"


def test_by_country_and_zone():
    """Countries and grid zones gather their regions."""
    scenario = cases.three()
    assert {k: v.tolist() for k, v in members(scenario.at(), By.country).items()} == {
        "DE": [0, 1],
        "US": [2],
    }
    rows = closings(scenario, by=By.country)
    assert rows.loc["DE", "captive_units"] == 10
    assert rows.loc["US", "extra_cost_usd"] == 0
    assert set(closings(scenario, by=By.grid_zone).index) == {"a", "b", "c"}


def test_single_region():
    """With one region all is lost, and the rest of the row is there."""
    tables = {name: table.copy() for name, table in cases.three().tables.items()}
    for name in ("regions", "latency"):
        tables[name] = tables[name].iloc[:1]
    for name, table in tables.items():
        tables[name] = table.astype(dict.fromkeys(table.select_dtypes("category"), object))
    rows = closings(jaxplace.Scenario(**tables))
    assert rows["unplaced"].tolist() == [10]
    assert rows["mend_region"].isna().all()


def test_laws_on_a_fleet():
    """No closing saves anything, all are feasible with a gap, the worst comes first."""
    found = audit(cases.fleet().at(), options=AuditSettings(most=8))
    rows = found.closings
    assert len(rows) == 8
    assert found.left_out == 22
    assert (rows["extra_cost_usd"] >= 0).all()
    assert rows["extra_cost_usd"].is_monotonic_decreasing
    assert (rows["extra_cost_low_usd"] <= rows["extra_cost_usd"] + 1e-12).all()
    assert (rows["extra_cost_usd"] <= rows["extra_cost_high_usd"]).all()
    assert (rows["gap"] < 0.05).all()


def test_settings_are_checked():
    """Nothing is closed less than once."""
    with pytest.raises(jaxplace.InputError, match=r"audit\.most"):
        AuditSettings(most=0)
