"""What the benchmarks share: scenarios, solves as processes, the judge, and who measured what."""

import contextlib
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jaxplace import demo_folder, runtime


ROOT = Path(__file__).resolve().parents[1]
SEED = 7
SIZES: dict[str, dict[str, Any]] = {  # name -> words of `jaxplace generate`
    "small": {"size": "small"},
    "medium": {"size": "medium"},
    "large": {"size": "large"},
    "ten": {"requests": 10_000_000, "regions": 1_000},
}


def facts() -> dict[str, Any]:
    """Commit, machine and versions: what every row says beside its own figures."""
    cpu = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(": ")[2]
            break
    changed = _said("git", "status", "--porcelain", "--untracked-files=no", "--", "jaxplace")
    return {
        "commit": _said("git", "rev-parse", "HEAD"),
        "changed_since": bool(changed),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "versions": runtime.versions(),
        "benchmark_command": shlex.join(["pytest", *sys.argv[1:]]),
    }


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


class Scenarios:
    """Generated scenarios by name, made once; `$JAXPLACE_SCENARIOS` keeps them between sessions."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.environ.get("JAXPLACE_SCENARIOS") or folder).resolve()

    def get(self, name: str, **words: Any) -> Path:
        """The folder of a scenario: "demo", one of SIZES, or what `words` say."""
        if name == "demo":
            return demo_folder()
        folder = self.folder / name
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            given = [f"{k}={v}" for k, v in {**(words or SIZES[name]), "seed": SEED}.items()]
            jaxplace("generate", *given, f"out={folder}")
        return folder


def digest(scenario: Path) -> str:
    """SHA-256 over the names and bytes of a scenario's tables."""
    found = hashlib.sha256()
    for path in sorted(p for p in scenario.rglob("*") if p.suffix in (".parquet", ".csv")):
        found.update(str(path.relative_to(scenario)).encode())
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                found.update(part)
    return found.hexdigest()


def jaxplace(*words: str, **environment: str) -> subprocess.CompletedProcess:
    """`jaxplace WORDS` as a process.

    Raises:
        RuntimeError: it did not do its job (exit codes 0, and 1: feasible, but a larger gap, are
            good).
    """
    command = [sys.executable, "-m", "jaxplace", *words]
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(
        command, cwd=ROOT, env=env | environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done


def _running(module: str) -> bool:
    """Whether any process runs a Python module."""
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            if module.encode() in words.read_bytes().split(b"\0"):
                return True
    return False


class Solver:
    """`jaxplace solve` as a user runs it, with a cache of compiled programs for each scenario."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def forget(self, scenario: Path) -> None:
        """The next run of this scenario is the first one on the machine.

        What an earlier one had compiled beside it may outlive that one, and would fill the folder.
        """
        while _running("jaxplace.repair.rehearsal"):
            time.sleep(0.1)
        shutil.rmtree(self.cache(scenario), ignore_errors=True)

    def knows(self, scenario: Path) -> bool:
        """Whether a run has left its compiled programs."""
        return self.cache(scenario).exists()

    def cache(self, scenario: Path) -> Path:
        """Where JAX's and Numba's programs are kept."""
        return self.folder / "cache" / scenario.name

    def out(self, scenario: Path) -> Path:
        """Where a run writes its files."""
        return self.folder / "out" / scenario.name

    def run(self, scenario: Path) -> dict[str, Any]:
        """The summary of a run, which wrote its files.

        Raises:
            RuntimeError: no feasible plan.
        """
        out, cache = self.out(scenario), self.cache(scenario)
        cache.mkdir(parents=True, exist_ok=True)
        words = ["solve", f"scenario={scenario}", "json=true", f"out={out}"]
        env = {"XDG_CACHE_HOME": str(cache), "NUMBA_CACHE_DIR": str(cache / "numba")}
        summary = json.loads(jaxplace(*words, **env).stdout)
        if not summary["feasible"]:
            raise RuntimeError(f"{scenario.name}: no feasible plan, so no time")
        return summary


def judged(scenario: Path, out: Path, *, hour: str | None = None) -> dict[str, Any]:
    """What the independent check says of a run's files; a note where the check is not there.

    `$JAXPLACE_JUDGE` names the program; empty: leave it out.
    """
    default = ROOT.parent / "shared" / "check" / "verify_placement.py"
    judge = os.environ.get("JAXPLACE_JUDGE", str(default))
    if not judge or not Path(judge).is_file():
        return {"ok": None, "note": "not checked: no independent check at hand"}
    start = time.perf_counter()
    when = ["--hour", hour] if hour else []
    done = subprocess.run(
        [sys.executable, judge, str(scenario), str(out), "--json", *when],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        verdict = json.loads(done.stdout)
    except ValueError:
        verdict = {"ok": False, "faults": (done.stdout + done.stderr).splitlines()[-5:]}
    kept = ("ok", "gap", "objective_usd", "lower_bound_usd", "unplaced", "moves", "faults")
    seconds = time.perf_counter() - start
    return {k: verdict[k] for k in kept if k in verdict} | {"seconds": seconds}


def measure(
    benchmark: Any,
    solver: Solver,
    scenario: Path,
    *,
    kind: str,
    cache: str,
    rounds: int,
) -> None:
    """Time `rounds` whole solves, with empty caches or those of an earlier run; note the row."""
    runs: list[dict[str, Any]] = []
    if cache == "warm" and not solver.knows(scenario):
        solver.run(scenario)

    def setup() -> None:
        if cache == "cold":
            solver.forget(scenario)

    benchmark.pedantic(lambda: runs.append(solver.run(scenario)), setup=setup, rounds=rounds)
    runs.sort(key=lambda run: run["timings_s"]["total"])
    middle = runs[len(runs) // 2]
    keys = ("status", "feasible", "gap", "objective_usd", "lower_bound_usd", "units", "unplaced",
            "unservable", "hour", "seed", "size", "timings_s", "device", "versions")  # fmt: skip
    benchmark.extra_info |= {
        "kind": kind,
        "scenario": scenario.name,
        "scenario_sha256": digest(scenario),
        "cache": cache,
        "command": f"jaxplace solve scenario={scenario.name} json=true",
        **{key: middle[key] for key in keys},
        "baselines_usd": {k: v["objective_usd"] for k, v in middle["baselines"].items()},
        "total_s": middle["timings_s"]["total"],
        "totals_s": [run["timings_s"]["total"] for run in runs],
        "peak_rss_bytes": max(run["peak_rss_bytes"] for run in runs),
        "independent_check": judged(scenario, solver.out(scenario)),
    }
    assert benchmark.extra_info["independent_check"]["ok"] is not False
