"""Run the published comparisons, and fill the tables of docs/compare.md.

    python scripts/compare_page.py run demo|gap|small|growth   # needs `pip install -e '.[bench]'`
    python scripts/compare_page.py                             # the tables only

A run is `jaxplace compare experiment=compare/NAME`, and its rows are kept, with machine, commit and
versions, in benchmarks/results/compare-NAME.json.  What stands between `<!-- begin: NAME -->` and
`<!-- end -->` is written anew.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import common  # noqa: E402  the root is no package
from jaxplace import config  # noqa: E402
from jaxplace.compare import words  # noqa: E402
from jaxplace.compare.judge import Row  # noqa: E402
from jaxplace.scenario.demo import DEMO  # noqa: E402


RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "compare.md"
NAMES = ("demo", "gap", "small", "growth")
GAP = ROOT / "tests" / "compare" / "gap"
MISSING = "Not measured yet.\n"
GIB = 2**30


def run(name: str) -> None:
    """Run an experiment on scenarios made for it, and keep its rows."""
    experiment = f"compare/{name}"
    options, _ = config.load("compare", [f"experiment={experiment}"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = GAP if name == "gap" else Path(scratch)
        for scenario in options.scenarios:
            if name != "gap" and scenario != DEMO:
                common.jaxplace("generate", *_size(scenario), "seed=7", f"out={folder / scenario}")
        out = Path(scratch) / "out"
        command = ["compare", f"experiment={experiment}", f"out={out}"]
        line = [sys.executable, "-m", "jaxplace", *command]
        subprocess.run(line, cwd=folder, check=True)
        found = json.loads((out / "compare.json").read_text())
    known = common.facts() | {"benchmark_command": f"python scripts/compare_page.py run {name}"}
    for row in found["rows"]:
        row["trace"] = row["trace"][-1:]  # the pictures need it, the page does not
    kept = {**known, "command": f"jaxplace compare experiment={experiment}", "rows": found["rows"]}
    (RESULTS / f"compare-{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def _size(scenario: str) -> list[str]:
    """Words of `jaxplace generate`: a named size, or requests x regions."""
    if "x" not in scenario:
        return [f"size={scenario}"]
    requests, regions = scenario.split("x")
    return [f"requests={requests}", f"regions={regions}"]


def page(text: str) -> str:
    """The page with its tables made from the committed rows."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{section(match[2])}{match[3]}"

    return re.sub(r"(<!-- begin: ([\w-]+) -->)\n.*?(<!-- end -->)", fill, text, flags=re.DOTALL)


def section(name: str) -> str:
    """One comparison: who measured, a table for each instance, remarks."""
    path = RESULTS / f"compare-{name}.json"
    if not path.exists():
        return MISSING
    known = json.loads(path.read_text())
    rows = [_row(values) for values in known["rows"]]
    lines = [_machine(known), ""]
    for _, own in words.by_instance(rows):
        lines += [f"**{words.heading(own)}**", "", _line(words.COLUMNS)]
        lines.append("|" + "|".join([" --- "] * 2 + [" ---: "] * (len(words.COLUMNS) - 2)) + "|")
        lines += [_line(words.cells(row)) for row in words.ranked(own)] + [""]
        lines += [f"- {text}" for text in words.remarks(own)] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _row(values: dict[str, Any]) -> Row:
    """A row as it was."""
    values = {k: v for k, v in values.items() if k != "verdict"}
    values |= {"faults": tuple(values["faults"]), "trace": tuple(map(tuple, values["trace"]))}
    return Row(**values)


def _machine(known: dict[str, Any]) -> str:
    """Who measured what, and with which versions."""
    seen = {k: v for row in known["rows"] for k, v in row["versions"].items()}
    listed = ", ".join(f"{k} {v}" for k, v in sorted((known["versions"] | seen).items()))
    commit = (known["commit"] or "?")[:10] + " with changes" * known["changed_since"]
    return (
        f"Commit {commit}, {known['cores']} cores ({known['cpu']}), "
        f"{known['memory_bytes'] / GIB:.0f} GiB; {listed}; `{known['benchmark_command']}`."
    )


def _line(cells: tuple[str, ...]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run what is asked for, then fill the page."""
    match sys.argv[1:]:
        case ["run", name] if name in NAMES:
            run(name)
        case []:
            pass
        case _:
            sys.exit(__doc__)
    PAGE.write_text(page(PAGE.read_text()))


if __name__ == "__main__":
    main()
