"""jaxplace on generalized assignment problems: the gap to the best known value of each.

    python -m benchmarks.gap FOLDER [--made] [--seconds 10] [--match REGEX] [--out FILE]

FOLDER holds files in the OR-Library's format at any depth, or a `*.tar.xz` of them, and
`best_known.csv` where best values are known.  `--made` adds generated problems of types d and e,
of which only jaxplace's own lower bound is known.  A first solve that is not counted compiles the
programs for a shape.  A plan that leaves a job out is no solution and has no gap.
"""

import argparse
import json
import re
import statistics
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jaxplace import runtime


runtime.prepare()

from benchmarks import common  # noqa: E402  after JAX's environment is set
from jaxplace import Settings, solve  # noqa: E402
from jaxplace.compare import gap  # noqa: E402


MADE = [(kind, m, n) for kind in "de" for m, n in [(10, 100), (20, 200), (20, 400), (40, 400)]]
WARM_UP_S = 3.0


def found(folder: Path, scratch: Path) -> list[gap.Problem]:
    """Every problem below a folder, named by its path in there; archives are unpacked."""
    for archive in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
    problems = []
    for root in (folder, scratch):
        for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.suffix):
            for problem in gap.problems(path):
                name = f"{path.parent.relative_to(root)}/{problem.name}".removeprefix("./")
                problems.append(gap.Problem(name, problem.cost, problem.use, problem.capacity))
    return problems


def measured(problem: gap.Problem, best: float | None, settings: Settings) -> dict[str, Any]:
    """One row: a solve of a problem."""
    instance = problem.instance()
    start, cpu = time.perf_counter(), time.process_time()
    placement = solve(instance, settings)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    proof = placement.certificate
    whole = proof.feasible and proof.unplaced == 0
    value = proof.objective_usd if whole else None
    bound = proof.lower_bound_usd
    known = None if best is None or value is None else (value - best) / best
    return {
        "name": problem.name,
        "agents": len(problem.capacity),
        "jobs": problem.cost.shape[1],
        "feasible": whole,
        "left_out": proof.unplaced,
        "value": value,
        "best_known": best,
        "lower_bound": bound,
        "gap_to_best_known": known,
        "gap_certified": None if value is None else (value - bound) / value,
        "bound_below_best_known": None if best is None else (best - bound) / best,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),  # fewer, where other work took its share of the machine
        "status": placement.status.name,
        "timings_s": {k: round(v, 2) for k, v in placement.timings_s.items()},
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means by family: cattrysse1994, chu1997/a ..., yagiura2004/c, made/d, made/e."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        owner, _, name = row["name"].rpartition("/")
        groups.setdefault(owner if name.startswith("gap") else f"{owner}/{name[0]}", []).append(row)
        if name[0] in "cde" and row["agents"] >= 10:
            groups.setdefault("tight: c, d, e, 10 agents or more", []).append(row)
    return {name: _means(group) for name, group in sorted(groups.items())}


def _means(group: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of some rows."""

    def of(key: str) -> list[float]:
        return [row[key] for row in group if row[key] is not None]

    known, proven = of("gap_to_best_known"), of("gap_certified")
    return {
        "problems": len(group),
        "solved": sum(row["feasible"] for row in group),
        "mean_gap_to_best_known": statistics.mean(known) if known else None,
        "worst_gap_to_best_known": max(known) if known else None,
        "mean_gap_certified": statistics.mean(proven) if proven else None,
        "mean_seconds": statistics.mean(of("seconds")),
    }


def main() -> None:
    """Solve, print a line for each and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--made", action="store_true", help="generated types d and e as well")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--gap-target", type=float, default=1e-4)
    parser.add_argument("--match", default="", help="regular expression that the name must contain")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=common.ROOT / "benchmarks/results/gap.json")
    given = parser.parse_args()
    table = given.folder / "best_known.csv"
    best = gap.best_known(table) if table.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        problems = found(given.folder, Path(scratch))
    if given.made:
        made = [gap.make(k, agents=m, jobs=n, seed=s) for k, m, n in MADE for s in range(2)]
        problems += [gap.Problem(f"made/{p.name}", p.cost, p.use, p.capacity) for p in made]
    problems = [p for p in problems if re.search(given.match, p.name)]
    settings = Settings(gap_target=given.gap_target, time_limit_s=given.seconds, seed=given.seed)
    warm = Settings(gap_target=given.gap_target, time_limit_s=WARM_UP_S, seed=given.seed)
    shapes: set[tuple[int, ...]] = set()
    rows: list[dict[str, Any]] = []
    for problem in problems:
        if problem.cost.shape not in shapes:
            shapes.add(problem.cost.shape)
            solve(problem.instance(), warm)
        rows.append(row := measured(problem, best.get(problem.name), settings))
        print(_line(row), flush=True)
    families = summary(rows)
    for name, means in families.items():
        print(f"{name}: {json.dumps(means)}")
    words = [given.folder.name if word == str(given.folder) else word for word in sys.argv[1:]]
    facts = common.facts() | {"benchmark_command": " ".join(["python -m benchmarks.gap", *words])}
    given.out.write_text(
        json.dumps({**facts, "seconds": given.seconds, "gap_target": given.gap_target,
                    "seed": given.seed, "families": families, "rows": rows}, indent=1) + "\n"
    )  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    """A row for the eye."""

    def share(key: str) -> str:
        return "-" if row[key] is None else f"{100 * row[key]:.3f} %"

    value = f"{row['left_out']} left out" if row["value"] is None else f"{row['value']:g}"
    return (
        f"{row['name']:24} {row['agents']:3} x {row['jobs']:4}  {value:>12}  "
        f"best {row['best_known'] or '-':>8}  off {share('gap_to_best_known'):>9}  "
        f"certified {share('gap_certified'):>9}  {row['seconds']:6.1f} s"
    )


if __name__ == "__main__":
    main()
