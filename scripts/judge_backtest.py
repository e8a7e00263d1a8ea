"""Run a backtest of the demo, and have every hour's plan checked by the independent program.

    python scripts/judge_backtest.py HOURS RESULT.json

Each hour is judged on the tables that it was planned from: the hour before's plan is its `current`
(`scripts/hour_scenario.py`).  `JAXPLACE_JUDGE` names the program.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import hour_scenario  # noqa: E402

from benchmarks import common  # noqa: E402
from jaxplace.replan import history  # noqa: E402
from jaxplace.scenario.demo import demo_folder  # noqa: E402


START = "2022-06-27T00:00"
KEPT = ("hour", "start", "objective_usd", "lower_bound_usd", "gap", "moves", "unplaced",
        "unservable", "seconds")  # fmt: skip


def main(hours: int, result: Path) -> int:
    """Plan and judge; 1 if a plan does not hold."""
    known, demo = common.facts(), demo_folder()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        words = [f"from={START}", f"hours={hours}", f"replan.keep_hours={hours}"]
        line = [sys.executable, "-m", "jaxplace", "replan", *words]
        begun = time.perf_counter()
        subprocess.run([*line, f"state={state}"], cwd=ROOT, check=True)
        seconds = time.perf_counter() - begun
        rows = history.read(state)[list(KEPT)].to_dict("records")
        for k, row in enumerate(rows):
            tables = Path(folder) / f"tables-{k}"
            plan = hour_scenario.write(str(state), str(demo), row["hour"], str(tables))
            row["judged"] = common.judged(tables, plan, hour=row["hour"])
            print(row["hour"], row["judged"], flush=True)
    told = {
        **known,
        "benchmark_command": f"python scripts/judge_backtest.py {hours} RESULT.json",
        "command": f"jaxplace replan {' '.join(words)}",
        "seconds": seconds,
        "hold": sum(row["judged"]["ok"] is True for row in rows),
        "hours": rows,
    }
    result.write_text(json.dumps(told, indent=1) + "\n")
    return int(told["hold"] < hours)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
