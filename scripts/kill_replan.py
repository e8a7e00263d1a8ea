"""Kill `jaxplace replan` at random moments, and count what is lost: nothing may be.

    python scripts/kill_replan.py KILLS RESULT.json [SEED]

Each round starts the command on a small made scenario, waits until it has committed an hour and
then a random while, and sends SIGKILL.  Afterwards HEAD.json must be readable, every plan that it
names whole (its digests agree), every hour that was ever seen committed still be there, and the
history readable; and the next round must go on from there.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jaxplace.replan import history
from jaxplace.replan.state import State


ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "replan"))

import tables  # noqa: E402


HOURS = 5000
LONGEST_S = 0.6  # after the first commit: some hours' work


def main(kills: int, result: Path, seed: int = 0) -> int:
    """Run the rounds; 1 if anything was lost."""
    rng, faults, seen, notes = random.Random(seed), [], set(), 0
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        hours = [f"2020-01-{1 + k // 24:02d}T{k % 24:02d}:00" for k in range(24)]
        scenario = tables.write(Path(folder) / "tables", **tables.tables(hours=hours))
        state = Path(folder) / "state"
        words = [f"state={state}", f"scenario={scenario}", f"from={hours[0]}", f"hours={HOURS}"]
        words += ["replan.max_signal_age_h=100000", "replan.compare=false", "json=true"]
        words += ["replan.keep_hours=50", "gap_target=0.05"]
        for kill in range(kills):
            hour = round_of(words, rng.uniform(0.0, LONGEST_S))
            with State(state) as opened:
                notes += len(opened.notes)
                try:
                    for kept in opened.head.plans:
                        opened.whole(kept)
                    known = set(history.read(state)["hour"]) | set(opened.head.plans)
                except Exception as error:  # noqa: BLE001  whatever it is, it is a loss
                    faults.append(f"kill {kill}: {error}")
                    known = set()
            lost = (seen | hour) - known
            if lost:
                faults.append(f"kill {kill}: lost {sorted(lost)}")
            seen |= hour | known
    told = {
        "command": f"python scripts/kill_replan.py {kills} RESULT.json {seed}",
        "kills": kills,
        "hours_committed": len(seen),
        "heads_made_anew": notes,
        "lost": faults,
        "seconds": time.perf_counter() - begun,
    }
    result.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))
    return 1 if faults else 0


def round_of(words: list[str], wait: float) -> set[str]:
    """One run until it is killed: the hours whose JSON lines came out whole."""
    line = [sys.executable, "-m", "jaxplace", "replan", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env) as run:
        first = run.stdout.readline()
        time.sleep(wait)
        run.send_signal(signal.SIGKILL)
        rest = run.stdout.read()
    lines = (first + rest).decode().splitlines(keepends=True)
    return {json.loads(text)["hour"] for text in lines if text.endswith("\n")}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])))
