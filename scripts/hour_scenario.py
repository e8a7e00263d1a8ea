"""The scenario an hour of the loop was planned from: its tables, the last plan as `current`.

    python scripts/hour_scenario.py STATE SCENARIO HOUR OUT

OUT becomes a folder of tables (links to SCENARIO's), with the plan of the hour before as
`current.parquet`; together with STATE/plans/hour=HOUR it can be given to any checker of plans.
"""

import shutil
import sys
from pathlib import Path

from jaxplace.replan.state import State


def write(state: str, scenario: str, hour: str, out: str) -> Path:
    """Write the folder; where the hour's plan is."""
    target = Path(out)
    target.mkdir(parents=True)
    for table in Path(scenario).resolve().iterdir():
        if table.stem != "current":
            (target / table.name).symlink_to(table)
    with State(state, read_only=True) as opened:
        before = opened.head.before(hour)
        if before is not None:
            shutil.copy(opened.whole(before) / "placement.parquet", target / "current.parquet")
        return opened.path(hour)


if __name__ == "__main__":
    print(write(*sys.argv[1:]))
