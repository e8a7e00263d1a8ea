"""benchmarks/gap.py: it finds the files, and says what a plan is worth."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A run on one small problem of the tests."""
    out = tmp_path_factory.mktemp("gap") / "gap.json"
    line = [sys.executable, "-m", "benchmarks.gap", str(ROOT / "tests" / "compare" / "gap"),
            "--match", "gap1-0$", "--seconds", "5", "--out", str(out)]  # fmt: skip
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())


def test_a_row_for_each_problem(results):
    """With its best known value, and a bound that is not above it."""
    (row,) = results["rows"]
    assert row["name"] == "gap1-0"
    assert row["best_known"] == 261
    assert row["feasible"]
    assert row["value"] >= 261
    assert row["gap_to_best_known"] == pytest.approx((row["value"] - 261) / 261)
    assert row["lower_bound"] <= 261


def test_families_have_means(results):
    """One family here, with its own mean."""
    (means,) = results["families"].values()
    assert means["problems"] == means["solved"] == 1
    assert "--match gap1-0$" in results["benchmark_command"]
