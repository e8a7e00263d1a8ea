"""The command: table, files and page."""

import json
from pathlib import Path

import pandas as pd
import pytest

from jaxplace import cli, config, runtime
from jaxplace.compare import files, page, plots, runner, words
from jaxplace.compare.judge import Row, settled
from jaxplace.compare.runner import chosen
from jaxplace.errors import InputError
from jaxplace.settings import Device


FOLDER = Path(__file__).parent / "gap"


def row(method, instance="a", **figures):
    """A row made up."""
    known = {
        "requests": 100,
        "regions": 10,
        "resources": 1,
        "units": 100,
        "settings": {},
        "seed": 0,
        "time_limit_s": 5.0,
        "outcome": "finished",
        "message": "",
    }
    return Row(instance=instance, method=method, **(known | figures))  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A comparison of two methods on a file of the library; its folder, exit code."""
    out = tmp_path_factory.mktemp("compare") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "prepare", lambda device=Device.auto: None)
        code = cli.main(["compare", "methods=[greedy,highs_simplex,nearest]", f"out={out}",
                         f"scenario={FOLDER / 'c05100'}", "time_limit_s=20",
                         "grace_s=120"])  # fmt: skip
    return out, code


def test_files(run):
    """Table, figures, page and options are written; the rows are those asked for."""
    out, code = run
    assert code == 0
    table = pd.read_parquet(out / "compare.parquet")
    assert list(table.method) == ["greedy", "highs_simplex", "nearest"]
    assert list(table.instance) == ["c05100"] * 3
    assert table.outcome.iloc[2] == "not_applicable"
    assert table.objective_usd.iloc[1] >= 1931  # the optimum
    assert table.bound_usd.iloc[1] <= 1931
    figures = json.loads((out / "compare.json").read_text())
    assert [r["method"] for r in figures["rows"]] == list(table.method)
    assert figures["rows"][1]["gap_to_best"] == pytest.approx(table.gap_to_best.iloc[1])
    assert "python" in figures["versions"]
    assert "methods" in (out / "config.yaml").read_text()


def test_page(run):
    """The page is whole, self-contained, and names what could not run."""
    out, _ = run
    text = (out / "report.html").read_text()
    assert text.count("<svg") == 1
    assert "has no distances" in text
    assert "http" not in text
    assert "<script" not in text


def test_json_to_stdout(tmp_path, capsys, monkeypatch):
    """json=true prints compare.json alone."""
    monkeypatch.setattr(runtime, "prepare", lambda device=Device.auto: None)
    words_ = ["compare", "methods=[greedy]", f"scenario={FOLDER / 'gap1-0'}", "json=true",
              "grace_s=120",
              f"out={tmp_path / 'out'}"]  # fmt: skip
    assert cli.main(words_) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["method"] == "greedy"


def test_what_a_first_run_compiles_is_there_before_any_clock_starts(tmp_path, capsys, monkeypatch):
    """The process that compiles is waited for, and then the methods run."""
    said = []

    class Beside:
        def wait(self):
            said.append("waited")

    def run_all(*_, **__):
        said.append("ran")
        return []

    monkeypatch.setattr(runtime, "prepare", lambda device=Device.auto: None)
    monkeypatch.setattr(runtime, "compile_beside", Beside)
    monkeypatch.setattr(runner, "compare", run_all)
    monkeypatch.setattr(files, "save", lambda *_, **__: None)
    words_ = ["compare", "methods=[greedy]", f"scenario={FOLDER / 'gap1-0'}", "json=true"]
    assert cli.main([*words_, f"out={tmp_path / 'out'}"]) == 0
    assert said == ["waited", "ran"]
    assert "Compiling" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["methods=[gurobi]", "scenario=nowhere", "time_limit_s=0",
                                  "method.pop.parts=many", "method.pop.parts=0"])  # fmt: skip
def test_mistakes_are_refused(word, tmp_path, monkeypatch, capsys):
    """With exit code 2, and nothing is written."""
    monkeypatch.setattr(runtime, "prepare", lambda device=Device.auto: None)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", "methods=[greedy]", word, "out=out"]) == 2
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().err


def test_best_bound_counts_for_all():
    """A plan is measured against the best certified bound; a false claim shows."""
    rows = settled(
        [
            row("one", objective_usd=110.0, seconds=1.0),
            row("two", objective_usd=101.0, bound_usd=100.0, seconds=2.0),
            row("three", claimed_bound_usd=105.0, bound_usd=90.0),
        ],
        gap_target=0.01,
    )
    assert [r.gap_to_best for r in rows] == [pytest.approx(10 / 110), pytest.approx(1 / 101), None]
    assert [r.seconds_to_target for r in rows] == [None, 2.0, None]
    assert [r.verdict for r in rows] == ["finished", "finished", "false claim"]


def test_a_claim_is_shown_as_one():
    """A bound without duals stands in brackets; a certified one does not."""
    column = words.COLUMNS.index("own bound")
    assert words.cells(row("a", claimed_bound_usd=105.0))[column] == "(105)"
    assert words.cells(row("a", claimed_bound_usd=105.0, bound_usd=90.0))[column] == "90"


def test_pictures_of_several_instances():
    """Profile and growth appear with the second instance and size, and say who stops."""
    rows = settled(
        [
            row("jaxplace", "a", objective_usd=100.0, bound_usd=99.99, seconds=1.0),
            row("greedy", "a", objective_usd=150.0, seconds=0.1),
        ],
        gap_target=1e-3,
    )
    rows += settled([row("jaxplace", "b", requests=1000, objective_usd=10.0, bound_usd=9.999,
                         seconds=3.0), row("greedy", "b", requests=1000, outcome="timed_out")],
                    gap_target=1e-3)  # fmt: skip
    assert plots.profile(rows[:2]) == ""
    assert plots.growth(rows[:2]) == ""
    assert "2 instances" in plots.profile(rows)
    assert plots.STOPPED in plots.growth(rows)
    text = page.render(rows)
    assert text.count("<svg") == 4
    assert words.cells(rows[3])[1] == "timed out"


def test_method_files_are_the_defaults():
    """conf/method/ changes nothing and has a file for every method with settings."""
    from jaxplace.compare.settings import CompareSettings

    built, _ = config.load("compare", [])
    assert built.method == CompareSettings().method
    for path in (config.conf_folder() / "method").glob("*.yaml"):
        assert hasattr(built.method, path.stem)
        assert path.read_text().startswith("#")


def test_experiments_compose_and_pin_their_seed():
    """Every published comparison can be repeated."""
    names = config.choices("experiment", "compare")
    assert names
    for name in names:
        built, _ = config.load("compare", [f"experiment={name}"])
        assert built.methods
        text = (config.conf_folder() / "experiment" / f"{name}.yaml").read_text()
        assert "\nseed:" in text
        assert "\ntime_limit_s:" in text


def test_sets_of_methods_compose():
    """Every file of conf/compare/ names methods that exist; words and experiments go first."""
    names = config.choices("compare", "compare")
    assert names
    for name in names:
        built, _ = config.load("compare", [f"compare={name}"])
        assert list(chosen(built.methods)) == built.methods
        assert (config.conf_folder() / "compare" / f"{name}.yaml").read_text().startswith("#")
    built, _ = config.load("compare", ["methods=[greedy]", "compare=exact", "time_limit_s=7"])
    assert (built.methods, built.time_limit_s) == (["greedy"], 7.0)
    small = ["experiment=compare/small"]
    built, _ = config.load("compare", ["compare=quick", *small])
    assert built == config.load("compare", small)[0]
    with pytest.raises(InputError, match=r"compare=exakt.*Did you mean `exact`"):
        config.load("compare", ["compare=exakt"])
    with pytest.raises(InputError, match="no option of"):
        config.load("solve", ["compare=exact"])


def test_settings_check_themselves():
    """Limits out of range are refused together."""
    from jaxplace.compare.settings import CompareSettings

    with pytest.raises(InputError) as caught:
        CompareSettings(time_limit_s=0, grace_s=-1, memory_limit_gb=0, gap_target=1, candidates=0)
    assert len(caught.value.faults) == 5
