"""The loop from tables to committed plans, and the command around it."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import tables

from jaxplace import Policy, Scenario, Settings, cli, pipeline, runtime
from jaxplace.errors import InputError
from jaxplace.replan import ReplanSettings, backtest, history, replan
from jaxplace.replan.hours import listed
from jaxplace.replan.state import State


SETTINGS = Settings(gap_target=0.02)
GAP = "gap_target=0.02"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """Each test works in an empty folder; JAX's environment stays as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "prepare", lambda device=None: None)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    """The tables of 24 hours."""
    return tables.write(tmp_path_factory.mktemp("tables"))


def run(scenario, *, hours=1, start=0, state="state", **options):
    """The outcomes of some hours."""
    return list(
        replan(
            state=state,
            scenario=scenario,
            start=tables.HOURS[start],
            hours=hours,
            settings=options.pop("settings", SETTINGS),
            **options,
        )
    )


def call(*words):
    """Exit code of the command."""
    return cli.main(["replan", *words])


def test_each_hour_starts_from_the_last(scenario):
    """The plan of an hour is the `current` table of the next, whose changes lead to its plan."""
    first, second = run(scenario, hours=2)
    assert (first.row.start, second.row.start) == ("cold", "warm")
    plans = [pd.read_parquet(o.folder / "placement.parquet") for o in (first, second)]
    changes = pd.read_parquet(second.folder / "changes.parquet")
    key = ["request_id", "region"]
    units = plans[0].set_index(key)["count"]
    away, to = (
        changes.rename(columns={name: "region"}).groupby(key)["count"].sum()
        for name in ("from_region", "to_region")
    )
    after = units.sub(away, fill_value=0).add(to, fill_value=0)
    assert after[after > 0].to_dict() == plans[1].set_index(key)["count"].to_dict()
    assert second.row.moves == changes["count"].sum()
    assert changes["safe"].dtype == bool
    tight = Scenario(**tables.tables()).replace(current=plans[0]).at(tables.HOURS[1])
    assert second.placement.certificate.objective_usd == pytest.approx(
        pipeline.solve(tight, SETTINGS).certificate.objective_usd, rel=0.04
    )


def test_files_of_a_plan(scenario):
    """The files of a solve, and what the next run needs."""
    (outcome,) = run(scenario)
    assert outcome.folder.name == "hour=2022-07-01T00"
    assert set(os.listdir(outcome.folder)) == {
        *("placement.parquet", "changes.parquet", "regions.parquet", "summary.json"),
        *("report.html", "start.parquet", "row.json", "manifest.json"),
    }


def test_a_process_of_its_own_each_hour_gives_the_same_plans(scenario):
    """Nothing but the state folder is carried from hour to hour."""
    together = run(scenario, hours=3, state="a")
    apart = [run(scenario, start=k, state="b")[0] for k in range(3)]
    for one, other in zip(together, apart, strict=True):
        for name in ("placement.parquet", "changes.parquet", "start.parquet"):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


def test_hours_that_are_committed_are_skipped(scenario):
    """Also after their plans are past retention; `redo` plans them again, from the hour before."""
    run(scenario, hours=3, options=ReplanSettings(keep_hours=1))
    assert [o.row for o in run(scenario, hours=3)] == [None] * 3
    again = run(scenario, start=2, redo=True)[0]
    assert again.row.start == "cold"
    assert again.folder.name == "hour=2022-07-01T02_2"
    assert list(history.read(again.folder.parents[1])["hour"]) == tables.HOURS[:3]


def test_the_clock_set_back(scenario):
    """An hour before the last one, without a plan, is refused unless it is meant."""
    run(scenario, start=5)
    with pytest.raises(InputError, match="clock was set back"):
        run(scenario, start=3)
    assert run(scenario, start=3, redo=True)[0].row.hours_since is None
    with State("state") as state:
        assert state.head.hour == tables.HOURS[5]


def test_a_gap_of_hours(scenario):
    """The plan before the gap is where units run; the history says how old it was."""
    run(scenario)
    (outcome,) = run(scenario, start=7)
    assert (outcome.row.start, outcome.row.hours_since) == ("warm", 7.0)


def test_requests_and_regions_come_and_go(tmp_path):
    """Requests are matched by id, and so are regions, whatever the order of the tables."""
    frames = tables.tables()
    first, _ = run(tables.write(tmp_path / "t" / "2022-07-01T00").parent / "{hour}"), None
    requests = frames["requests"].iloc[::-1].iloc[:25].assign(count=7)
    new = requests.iloc[:3].assign(request_id=["n1", "n2", "n3"])
    regions = frames["regions"].iloc[::-1]
    tables.write(
        tmp_path / "t" / "2022-07-01T01", requests=pd.concat([requests, new]), regions=regions
    )
    (second,) = run(tmp_path / "t" / "{hour}", start=1)
    plan = second.placement.assignments
    assert plan.groupby("request_id")["count"].sum().to_dict() == dict.fromkeys(
        [*requests["request_id"], "n1", "n2", "n3"], 7
    )
    assert len(first) == 1
    assert second.row.start == "warm"


def test_late_signals_are_flagged(tmp_path):
    """Carried forward: in the summary's notes, the page, the history and the metrics."""
    frames = tables.tables()
    signals = frames["signals"]
    late = (signals["time_utc"] >= tables.HOURS[2]) & (signals["grid_zone"] == "z1")
    folder = tables.write(tmp_path / "t", signals=signals[~late])
    *_, last = run(folder, hours=5)
    assert (last.row.carried_zones, last.row.oldest_signal_h) == (1, 3.0)
    for name in ("summary.json", "report.html"):
        assert "carried forward" in (last.folder / name).read_text()
    assert "jaxplace_oldest_signal_hours 3" in (tmp_path / "state" / "metrics.prom").read_text()
    with pytest.raises(InputError, match=r"max_signal_age_h=3"):
        run(folder, start=5)
    assert len(run(folder, start=5, options=ReplanSettings(max_signal_age_h=4))) == 1


def test_a_time_limit_leaves_a_feasible_plan(scenario):
    """However short it is: at worst the last plan, repaired."""
    run(scenario)
    settings = Settings(gap_target=0.0, time_limit_s=1e-3)
    (outcome,) = run(scenario, start=1, settings=settings)
    assert outcome.placement.certificate.feasible
    assert not outcome.done


def test_max_moves_counts_from_the_last_plan(scenario):
    """No more units leave their region than the policy lets."""
    run(scenario)
    (outcome,) = run(scenario, start=1, policy=Policy(max_moves=3))
    assert outcome.row.moves <= 3


def test_a_dry_run_writes_nothing(scenario, tmp_path):
    """Each hour starts from the one before all the same."""
    outcomes = run(scenario, hours=2, dry_run=True)
    assert [o.row.start for o in outcomes] == ["cold", "warm"]
    assert os.listdir(tmp_path) == []


def test_a_run_killed_after_its_commit_is_caught_up(scenario, tmp_path):
    """The history's row and the metrics come from the plan's folder."""
    run(scenario, hours=2)
    whole = history.read(tmp_path / "state")
    (tmp_path / "state" / history.FILE).unlink()
    (tmp_path / "state" / "metrics.prom").unlink()
    run(scenario, hours=2)
    assert history.read(tmp_path / "state").equals(whole)
    assert (tmp_path / "state" / "metrics.prom").exists()


def test_a_damaged_history_says_what_to_do(scenario, tmp_path):
    """It is never silently thrown away."""
    run(scenario)
    (tmp_path / "state" / history.FILE).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="made anew"):
        run(scenario, start=1)


def test_metrics_are_open_metrics(scenario, tmp_path):
    """Each family has a type before its sample, a unit that ends its name, and the file an end."""
    run(scenario)
    lines = (tmp_path / "state" / "metrics.prom").read_text().splitlines()
    assert lines[-1] == "# EOF"
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    units = dict(line.split()[2:4] for line in lines if line.startswith("# UNIT"))
    samples = [line.split("{")[0].split()[0] for line in lines if not line.startswith("#")]
    assert sorted(typed) == sorted(samples)
    assert all(name.endswith("_" + unit) for name, unit in units.items())


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), "`state` is missing"),
        (("state=s", "hour=noon"), "no time"),
        (("state=s", "hour=2022-07-01T00:30"), "not the start of an hour"),
        (("state=s", "hour=2022-07-01T00:00", "from=2022-07-01T00:00"), "Give one of them"),
        (("state=s", "from=2022-07-01T00:00"), "belong together"),
        (("state=s", "from=2022-07-01T00:00", "hours=0"), "`hours` must be >= 1"),
        (("state=s", "replan.keep_hours=0"), "replan.keep_hours"),
        (("state=s", "replan.max_signal_age_h=-1"), "replan.max_signal_age_h"),
    ],
)
def test_bad_usage_is_2(words, wanted, capsys, tmp_path):
    """A message, nothing written."""
    assert call(*words) == 2
    assert wanted in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_hours_by_the_clock_and_in_other_zones():
    """No hour: the clock's, in UTC; a time zone is turned into UTC."""
    assert listed(None, None, None)[0].endswith(":00")
    assert listed("2022-07-01T12:00+02:00", None, None) == ["2022-07-01T10:00"]
    assert listed(None, "2022-07-01T23:00", 2) == ["2022-07-01T23:00", "2022-07-02T00:00"]


def test_command(scenario, tmp_path, capsys):
    """One JSON line an hour; an hour done twice is skipped; a second run at once gets code 2."""
    words = (f"scenario={scenario}", "state=state", GAP)
    assert call(*words, "hour=2022-07-01T00:00", "json=true") == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["hour"], line["done"]) == ("2022-07-01T00:00", True)
    assert call(*words, "hour=2022-07-01T00:00") == 0
    out, err = capsys.readouterr()
    assert "Nothing to do" in out
    assert "committed already" in err
    with State("state"):
        assert call(*words, "hour=2022-07-01T01:00") == 2
    assert "another run" in capsys.readouterr().err
    assert call(*words, "hour=2022-07-01T01:00", "dry_run=true") == 0
    assert "nothing was written" in capsys.readouterr().out
    assert call(*words, "hour=2022-07-01T01:00", "time_limit_s=1e-3", "gap_target=0") == 1
    assert (tmp_path / "state" / "plans" / "hour=2022-07-01T01" / "config.yaml").exists()


def test_backtest(scenario, tmp_path, capsys):
    """Beside the plans: a table and a page with every rule in every hour."""
    words = (f"scenario={scenario}", "state=state", GAP, "from=2022-07-01T00:00", "hours=4")
    assert call(*words) == 0
    assert "backtest.html" in capsys.readouterr().out
    folder = tmp_path / "state" / backtest.FOLDER
    table = pd.read_parquet(folder / "backtest.parquet")
    assert len(table) == 4 * (1 + len(backtest.RIVALS))
    sums = table.groupby("rule")["objective_usd"].sum()
    assert sums[backtest.OURS] <= sums.drop(backtest.OURS).min() * 1.05
    page = (folder / "backtest.html").read_text()
    assert page.count("<polyline") == 4 * 4
    assert np.isfinite(table[list(backtest.FIGURES)]).all().all()
    assert call(*words, "replan.compare=false", "redo=true") == 0
