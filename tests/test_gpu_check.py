"""`scripts/gpu_check` without a GPU: its clock, its file and its exit codes, on tiny sizes."""

import importlib.util
import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import jax
import pytest


SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "gpu_check"


@pytest.fixture(scope="module")
def gpu_check():
    """The script as a module."""
    loader = SourceFileLoader("gpu_check", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
    loader.exec_module(module)
    return module


def run(*words):
    """The script in a process of its own."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)], capture_output=True, text=True, check=False
    )


def test_a_dry_run_writes_every_row(tmp_path):
    """Roofline and sweeps with interpreted kernels: each row says what it was measured with."""
    out = tmp_path / "dry.json"
    done = run("--platform", "cpu", "--only", "roofline", "--only", "sweeps", "--out", out)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["rows"]
    for row in rows:
        assert {"commit", "gpu", "driver", "jax", "jaxlib", "python", "cpu"} <= set(row)
    of = {(row["name"], row.get("backend")): row for row in rows}
    assert of["exp", None]["gexp_per_s"] > 0
    assert of["copy", None]["gb_per_s"] > 0
    for backend in ("pallas", "xla"):
        assert of["respond", backend]["share_of_exp_limit"] > 0
    assert of["again", None]["same_bits"]
    assert of["agreement", None]["load_differs"] < 1e-5


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is a GPU here")
def test_no_gpu_is_code_2(tmp_path):
    """What is missing is said, and no file is written."""
    done = run("--out", tmp_path / "none.json")
    assert done.returncode == 2
    assert "no NVIDIA GPU" in done.stderr
    assert not (tmp_path / "none.json").exists()


def test_unknown_stages_are_refused(tmp_path):
    """A mistyped stage is no empty check."""
    assert run("--only", "sweep", "--out", tmp_path / "none.json").returncode == 2


WRITES = """
import json, pathlib, sys, time
with pathlib.Path(sys.argv[1]).open("a") as file:
    for step in (1, 2):
        print(json.dumps({"stage": "solve", "name": "fleet", "checkpoint": "relax", "step": step}), file=file)
    print('{"cut', file=file, flush=True)
print("going on", flush=True)
"""  # noqa: E501


@pytest.mark.parametrize(("then", "code"), [("time.sleep(60)", None), ("sys.exit(3)", 3)])
def test_a_stage_that_ends_early_leaves_what_it_has(gpu_check, tmp_path, then, code):
    """Its last checkpoint, its last words and its code, whether it hangs or dies."""
    check = gpu_check.Check(tmp_path / "out.json", "cpu", "full")
    command = [sys.executable, "-c", WRITES + then, str(tmp_path / "fleet.jsonl")]
    check.stage("fleet", command, 2.0, tmp_path)
    check.write()
    checkpoint, end = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert checkpoint["step"] == 2
    assert end["code"] == code
    assert end["said"] == ["going on"]
    assert end["seconds"] < 10
    assert check.failed
