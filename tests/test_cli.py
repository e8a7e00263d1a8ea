"""The command line: exit codes, messages, files; the solves need the whole pipeline."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from jaxplace import cli, completion, output, runtime
from jaxplace.errors import OutputError
from jaxplace.settings import Device


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """Each test works in an empty folder and leaves the environment as it was."""
    monkeypatch.chdir(tmp_path)
    for name in ("JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(runtime, "prepare", lambda device=Device.auto: None)


def call(*words):
    """Exit code of the command line in this process."""
    return cli.main(list(words))


def program(*words, **options):
    """The command line as a process of its own."""
    here = str(Path(cli.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": here}
    line = [sys.executable, "-m", "jaxplace", *words]
    return subprocess.run(line, capture_output=True, text=True, env=env, check=False, **options)


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",)])
def test_help(words, capsys):
    """The overview lists the commands on stdout."""
    assert call(*words) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_command_help(command, capsys):
    """Each command explains itself and nothing runs."""
    assert call(command, "--help") == 0
    out = capsys.readouterr().out
    assert f"jaxplace {command}" in out
    assert max(map(len, out.splitlines())) <= 100


def test_help_lists_options_with_units_and_defaults(capsys):
    """Meaning, unit, range and default of an option stand in solve --help."""
    call("solve", "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "gap_target=NUMBER" in text
    assert "[USD/t CO2e] (default 0)" in text
    assert "carbon-aware" in text


def test_help_speaks_as_it_is_typed(capsys):
    """None is written as null, and the policy that is taken by default is named."""
    for command in ("solve", "generate"):
        call(command, "--help")
        text = " ".join(capsys.readouterr().out.split())
        assert "None" not in text
        assert ("resilient (default default)" in text) == (command == "solve")


def test_version(capsys):
    """--version prints one line."""
    assert call("--version") == 0
    assert capsys.readouterr().out.startswith("jaxplace ")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("sovle",), "Did you mean `solve`"),
        (("solve", "gap_targt=1"), "Did you mean `gap_target`"),
        (("solve", "--fast"), "is no flag"),
        (("solve", "--config-dir"), "needs a folder"),
        (("solve", "scenario=nowhere"), "nowhere is not a folder"),
        (("solve", "scenario=/dev/null"), "/dev/null is not a folder"),
        (("solve", "scenario="), "`scenario=` is empty"),
        (("solve", "out="), "`out=` is empty"),
        (("solve", "demo"), "Did you mean `scenario=demo`"),
        (("solve", "device=tpu"), "`device` must be of type auto or cpu or gpu. Got tpu"),
        (("solve", "scenario=demo", "hour=1999-01-01T00:00"), "1999-01-01T00:00"),
        (("solve", "policy.headroom=1.5", "policy.move_usd=-1", "gap_target=2"), "gap_target"),
        (("completion", "tcsh"), "bash, zsh, fish"),
        (("generate",), "`out` is missing"),
    ],
)
def test_bad_usage_is_2(words, wanted, capsys, tmp_path):
    """A message on stderr, nothing on stdout, nothing written, exit code 2."""
    assert call(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert wanted in err
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []


def test_no_words_is_usage(capsys):
    """Without a command the overview goes to stderr."""
    assert call() == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "wanted"),
    [
        (KeyboardInterrupt(), 130, "Interrupted"),
        (OutputError("The disk is full"), 3, "The disk is full"),
        (MemoryError(), 3, "Out of memory"),
        (ZeroDivisionError("division by zero"), 3, "A defect in jaxplace"),
    ],
)
def test_failures_have_codes(error, code, wanted, monkeypatch, capsys):
    """Each way to fail has its exit code and a message without a traceback."""

    def fail(words):
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert call("solve") == code
    err = capsys.readouterr().err
    assert wanted in err
    assert "Traceback" not in err


def test_composed_options(capsys):
    """--cfg prints the options and runs nothing."""
    assert call("solve", "--cfg", "policy=carbon-aware", "seed=7") == 0
    out = capsys.readouterr().out
    assert "carbon_price_usd_per_t: 80.0" in out
    assert "seed: 7" in out
    assert "hydra" not in out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["s"], ["solve"]),
        (["--v"], ["--version"]),
        (["solve", "gap"], ["gap_target="]),
        (["solve", "device="], ["device=auto", "device=cpu", "device=gpu"]),
        (["solve", "policy=c"], ["policy=carbon-aware"]),
        (["solve", "seed=1", "see"], []),
        (["solve", "--c"], ["--cfg", "--config-dir"]),
        (["completion", "z"], ["zsh"]),
        (["nothing", ""], []),
    ],
)
def test_completion_candidates(words, wanted):
    """Commands, keys, choices and file names complete."""
    assert completion.candidates(words, list(cli.COMMANDS)) == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell, capsys):
    """Each shell gets a script that asks the program."""
    assert call("completion", shell) == 0
    assert "jaxplace _complete" in capsys.readouterr().out


def test_bash_completion_completes(tmp_path):
    """Bash itself, given the script, offers what the program offers."""
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "jaxplace"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jaxplace "$@"\n')
    tool.chmod(0o755)
    code = """eval "$(jaxplace completion bash)"
    COMP_LINE="jaxplace solve device=c"; COMP_POINT=${#COMP_LINE}; _jaxplace
    echo "${COMPREPLY[@]}"
    COMP_LINE="jaxplace sol"; COMP_POINT=${#COMP_LINE}; _jaxplace 2>/dev/null
    echo "${COMPREPLY[@]}" """
    here = str(Path(cli.__file__).parents[1])
    env = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}", "PYTHONPATH": here}
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, env=env, check=False
    )
    assert done.stdout.split() == ["cpu", "solve"]


def test_module_is_the_program():
    """`python -m jaxplace` runs, with the exit code of the command."""
    assert program("--version").returncode == 0
    assert program("nonsense").returncode == 2


def test_help_does_not_load_jax():
    """--help answers without JAX, pandas or Hydra."""
    code = (
        "import sys; from jaxplace import cli; cli.main(['--help']); "
        "sys.exit(bool({'jax', 'pandas', 'hydra', 'numpy'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A scenario of eight requests on two regions."""
    folder = tmp_path_factory.mktemp("tiny")
    where = {"latitude": [50.0, 40.0], "longitude": [8.0, -75.0], "country": ["DE", "US"]}
    frames = {
        "requests": {
            "request_id": range(8),
            "origin": ["a", "b"] * 4,
            "energy_kwh": 1.0,
            "use_gpu": 1.0,
            "colour": "red",
        },
        "regions": {
            "region": ["eu", "us"],
            **where,
            "grid_zone": ["DE", "US"],
            "pue": [1.1, 1.2],
            "capacity_gpu": [5.0, 5.0],
        },
        "origins": {"origin": ["a", "b"], **where},
        "latency": {
            "origin": ["a", "a", "b", "b"],
            "region": ["eu", "us"] * 2,
            "rtt_ms": [1.0, 90.0, 90.0, 1.0],
        },
        "signals": {
            "time_utc": ["2022-07-01T12:00"] * 2,
            "grid_zone": ["DE", "US"],
            "price_usd_per_mwh": [200.0, 50.0],
            "carbon_g_per_kwh": [300.0, 400.0],
        },
    }
    for name, columns in frames.items():
        pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_solve_end_to_end(tiny, tmp_path, capsys):
    """A solve writes the five files and its options, and shows the table; exit code 0."""
    assert call("solve", f"scenario={tiny}", "out=run", "gap_target=0.01") == 0
    out, err = capsys.readouterr()
    assert "objective" in out
    assert err.count("colour") == 1
    assert set(os.listdir(tmp_path / "run")) == {*output.FILES, "config.yaml"}
    figures = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert figures["placed"] == 8
    assert figures["timings_s"]["total"] >= figures["timings_s"]["write"] > 0
    assert figures["objective_usd"] == pytest.approx(3 * 1.1 * 0.2 + 5 * 1.2 * 0.05)


def test_solve_as_json(tiny, tmp_path, capsys, monkeypatch):
    """json=true prints summary.json and nothing else, whatever memory is held by then."""
    monkeypatch.setattr(runtime, "peak_rss_bytes", itertools.count(1).__next__)
    assert call("solve", f"scenario={tiny}", "out=run", "json=true", "gap_target=0.01") == 0
    assert capsys.readouterr().out == (tmp_path / "run" / "summary.json").read_text()


def test_solve_default_folder(tiny, tmp_path):
    """Without out= the run lies under outputs/DATE/TIME."""
    assert call("solve", f"scenario={tiny}", "gap_target=0.01") == 0
    (found,) = (tmp_path / "outputs").glob("*/*/summary.json")
    assert found.parent.parent.name.startswith("20")


@pytest.mark.parametrize(
    "word", ["hour=1999-01-01T00:00", "policy.carbon_column=nothing", "out=taken"]
)
def test_bad_scenario_writes_nothing(word, tiny, tmp_path, capsys):
    """An hour, a column or a folder that will not do: exit code 2 and no new folder."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "photo.jpg").write_text("")
    assert call("solve", f"scenario={tiny}", word) == 2
    assert capsys.readouterr().out == ""
    assert os.listdir(tmp_path) == ["taken"]
    assert os.listdir(tmp_path / "taken") == ["photo.jpg"]


def test_unreadable_scenarios_write_nothing(tiny, tmp_path, capsys):
    """A folder without tables, or with a truncated one: exit code 2 and no new folder."""
    (tmp_path / "empty").mkdir()
    assert call("solve", "scenario=empty") == 2
    assert "requests" in capsys.readouterr().err
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    (broken / "regions.csv").unlink()
    (broken / "regions.parquet").write_bytes(b"PAR1")
    assert call("solve", "scenario=broken", "out=run") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "regions" in err
    assert "Traceback" not in err
    assert sorted(os.listdir(tmp_path)) == ["broken", "empty"]


def test_demo_is_a_name(tiny, tmp_path, capsys):
    """`scenario=demo` is the bundled one, unless a folder of that name is here."""
    bundled = str(Path(cli.__file__).parent / "demo")
    for word in ("scenario=demo", "scenario=null"):
        assert call("solve", word, "hour=1999-01-01T00:00") == 2
        assert f"Reading {bundled}" in capsys.readouterr().err
    shutil.copytree(tiny, tmp_path / "demo")
    assert call("solve", "scenario=demo", "hour=1999-01-01T00:00") == 2
    assert "Reading demo" in capsys.readouterr().err


def test_gap_missed_is_1(tiny, monkeypatch):
    """A feasible plan with a larger gap than asked is written, exit code 1."""
    import dataclasses

    from jaxplace import pipeline

    real = pipeline.solve

    def worse(*arguments, **options):
        found = real(*arguments, **options)
        proof = dataclasses.replace(found.certificate, gap=0.5)
        return dataclasses.replace(found, certificate=proof)

    monkeypatch.setattr(pipeline, "solve", worse)
    assert call("solve", f"scenario={tiny}", "out=run") == 1
    assert Path("run/summary.json").exists()


def test_missing_gpu_is_2(tiny):
    """device=gpu on a machine without one is refused with what to do."""
    import jax

    if jax.default_backend() == "gpu":
        pytest.skip("this machine has a GPU")
    done = program("solve", f"scenario={tiny}", "device=gpu")
    assert done.returncode == 2
    assert "device=cpu" in done.stderr
    assert not Path("outputs").exists()


def test_doctor(capsys):
    """The doctor names versions and folders and passes its own test."""
    assert call("doctor", "json=true") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["self_test"]["passed"]
    assert found["versions"]["jax"]
    assert Path(found["demo_scenario"]).is_dir()


def test_generate_then_solve(tmp_path, capsys):
    """What generate writes, solve reads."""
    words = ("requests=200", "regions=5", "origins=5", "hours=1", "out=made")
    assert call("generate", *words) == 0
    assert "jaxplace solve scenario=" in capsys.readouterr().out
    assert call("solve", "scenario=made", "out=run", "gap_target=0.2") in (0, 1)
