"""docs/performance.md: its tables are what the script makes of the committed results."""

import json
import runpy
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
SCRIPT = ROOT / "scripts" / "plot_benchmarks.py"


@pytest.fixture(scope="module")
def script():
    """The script's names; drawing is left out, so it needs no matplotlib."""
    return runpy.run_path(str(SCRIPT))


def test_the_page_is_what_the_script_makes(script):
    """Otherwise run `python scripts/plot_benchmarks.py`."""
    text = PAGE.read_text()
    for part in script["PARTS"]:
        assert f"<!-- begin: {part} -->" in text
    assert script["page"](text, script["read"]()) == text


def solve_row(cache, ok, total_s=4.0):
    """A row as `benchmarks/test_solve.py` leaves it."""
    return {
        "fullname": f"test_solve[demo-{cache}]",
        "stats": {"median": total_s + 0.1},
        "extra_info": {
            "kind": "solve",
            "scenario": "demo",
            "cache": cache,
            "size": {"requests": 1_000, "rows": 1_200, "regions": 69},
            "total_s": total_s,
            "timings_s": {"relax": 1.0, "total": total_s},
            "gap": 4.4e-5,
            "objective_usd": 442.01,
            "lower_bound_usd": 441.99,
            "peak_rss_bytes": 2**29,
            "independent_check": {"ok": ok},
        },
    }


@pytest.mark.parametrize(("ok", "said"), [(True, "holds"), (False, "**fails**"), (None, "no")])
def test_the_last_row_of_a_kind_counts(script, tmp_path, ok, said):
    """Files without rows of a known kind say nothing; cold and warm stand side by side."""
    old = {"datetime": "2026-01-01", "benchmarks": [solve_row("warm", True, 9.0)]}
    new = {
        "datetime": "2026-01-02",
        "benchmarks": [solve_row("warm", ok), solve_row("cold", ok, 8)],
    }
    other = {"datetime": "2026-01-03", "benchmarks": [solve_row("warm", True) | {"extra_info": {}}]}
    for name, file in {"b": old, "a": new, "c": other, "d": {"rows": []}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(file))
    rows = script["read"](tmp_path)
    text = script["page"]("<!-- begin: solves -->\nstale\n<!-- end -->\n", rows)
    assert (
        f"| demo | 1,000 x 69 | 8.0 | 4.0 | 4.4e-05 | 442.010 | 441.990 | 0.50 | {said} |" in text
    )
    assert "stale" not in text
    assert "| demo | 3.00 |" in script["stages"](rows)
    assert script["kernels"](rows) == ""
