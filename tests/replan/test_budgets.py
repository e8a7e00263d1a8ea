"""Fleet budgets that cannot be kept: told, never broken."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tables

from jaxplace import Policy, Scenario, Settings, Status, budgets, cli, output, runtime, solve


SETTINGS = Settings(gap_target=0.02)


def instance(**policy):
    """An hour with room for all, where everything runs in the cleanest region but one."""
    frames = tables.tables()
    where = pd.DataFrame(
        {
            "request_id": frames["requests"]["request_id"],
            "region": np.resize(["eu", "us", "as"], len(frames["requests"])),
            "count": frames["requests"]["count"],
        }
    )
    return Scenario(**frames).replace(current=where).at(tables.HOURS[0], Policy(**policy))


def least_carbon():
    """The least carbon of any plan that leaves nothing out: by a carbon price that rules all."""
    plan = solve(instance(carbon_price_usd_per_t=1e6, unplaced_usd=1e6), Settings(gap_target=1e-3))
    assert plan.certificate.unplaced == 0
    return plan.certificate.carbon_kg


def test_a_cap_that_can_be_kept_is_no_shortfall():
    """Nothing is said where every unit runs."""
    plan = solve(instance(carbon_cap_kg=1.05 * least_carbon()), SETTINGS)
    assert plan.certificate.feasible
    assert plan.least == {}
    assert plan.status is not Status.over_budget


def test_an_impossible_cap_is_told():
    """Kept by leaving units out; the least is proven and near the true one."""
    best = least_carbon()
    plan = solve(instance(carbon_cap_kg=0.5 * best), SETTINGS)
    assert plan.certificate.feasible
    assert plan.certificate.carbon_kg <= 0.5 * best * (1 + 1e-9)
    assert plan.status is Status.over_budget
    assert 0.9 * best < plan.least["carbon_cap_kg"] <= best
    assert any("carbon_cap_kg" in note and "left out" in note for note in plan.instance.notes)
    told = output.summary(plan)
    assert told["status"] == "over_budget"
    assert told["budgets"]["carbon_cap_kg"]["least"] == plan.least["carbon_cap_kg"]
    assert "left out to keep it" in output.report.render(plan)


def test_a_cap_of_nothing():
    """Even then the plan is feasible: all that takes carbon is left out."""
    plan = solve(instance(carbon_cap_kg=0.0), SETTINGS)
    assert plan.certificate.feasible
    assert plan.certificate.carbon_kg == 0
    assert plan.status is Status.over_budget


def test_impossible_max_moves():
    """Where a region has gone, its units must move or be left out."""
    full = instance(max_moves=0.0)
    gone = replace(full, capacity=np.where(np.arange(3)[:, None] == 0, 0.0, full.capacity * 3))
    plan = solve(gone, SETTINGS)
    assert (plan.certificate.moves, plan.certificate.feasible) == (0, True)
    must = full.count[full.current == 0].sum()
    assert plan.least["max_moves"] == pytest.approx(must, rel=0.05)
    assert plan.status is Status.over_budget


def test_units_left_out_for_want_of_room_are_no_shortfall():
    """A budget is not blamed for what capacity does."""
    free = instance()
    small = replace(free, capacity=free.capacity * 0.4)
    plan = solve(small, SETTINGS)
    assert plan.certificate.unplaced > 0
    assert budgets.questions(small, plan.certificate) == []
    capped = replace(small, policy=replace(small.policy, carbon_cap_kg=plan.certificate.carbon_kg))
    assert solve(capped, SETTINGS).least == {}


@pytest.mark.parametrize("gap", [0.9, 1e-3])
def test_a_budget_as_small_as_units_is_used_up(gap):
    """Its last tenth is too small for any unit: it keeps them out all the same."""
    found = solve(instance(carbon_cap_kg=1.0), replace(SETTINGS, gap_target=gap))
    assert found.certificate.carbon_kg < 0.99
    assert found.status is Status.over_budget
    assert found.least["carbon_cap_kg"] > 1.0


def test_exit_code_is_1(tmp_path, monkeypatch, capsys):
    """The plan is written, the note shown, and the code is not 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "prepare", lambda device=None: None)
    folder = tables.write(tmp_path / "t")
    words = (f"scenario={folder}", "policy.carbon_cap_kg=1", "gap_target=0.9")
    assert cli.main(["solve", *words, "out=run"]) == 1
    out, err = capsys.readouterr()
    assert "over_budget" in out
    assert "left out to keep it" in err
    assert cli.main(["replan", *words, "state=s", f"hour={tables.HOURS[0]}"]) == 1
