"""The hourly loop: plan an hour from the last committed plan, commit, and be safe to kill.

    from jaxplace.replan import replan
    for outcome in replan(state="state", scenario="tables", start="2022-07-01T00:00", hours=24):
        outcome.row.objective_usd, outcome.placement.changes

The state folder is described in `state`, what an hour does in `loop`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jaxplace.replan.settings import ReplanSettings


if TYPE_CHECKING:
    from jaxplace.instance import Policy
    from jaxplace.placement import Checkpoint
    from jaxplace.replan.loop import Outcome
    from jaxplace.settings import Settings

__all__ = ["ReplanSettings", "replan"]


def replan(
    *,
    state: Path | str,
    scenario: Path | str,
    hour: str | None = None,
    start: str | None = None,
    hours: int | None = None,
    policy: "Policy | None" = None,
    settings: "Settings | None" = None,
    options: ReplanSettings | None = None,
    redo: bool = False,
    dry_run: bool = False,
    progress: "Callable[[Checkpoint], None] | None" = None,
) -> "Iterator[Outcome]":
    """Plan hours into a state folder; each is committed before it is handed out.

    Args:
        state: the folder; made if it is not there, and locked until the iterator ends.
        scenario: folder of tables; `{hour}` in it is replaced by the hour, as 2022-07-01T12.
        hour: the hour to plan; default: the one that the clock shows (UTC).
        start: instead of `hour`: the first of several.
        hours: how many, with `start`.
        policy: of the plans.
        settings: of the solves.
        options: of the loop.
        redo: plan hours again that are committed.
        dry_run: write nothing.
        progress: called with every checkpoint of a solve.

    Yields:
        One outcome an hour; without a plan where the hour was committed before.

    Raises:
        InputError: bad input, or another run is at work on the folder.
        OutputError: no feasible plan, or the disk refused; what was committed stays.
    """
    from jaxplace.instance import Policy
    from jaxplace.replan.hours import listed
    from jaxplace.replan.loop import Loop, Tables
    from jaxplace.replan.state import State
    from jaxplace.settings import Settings

    wanted = listed(hour, start, hours)
    with State(state, read_only=dry_run) as opened:
        yield from Loop(
            state=opened,
            tables=Tables(scenario),
            settings=settings or Settings(),
            policy=policy or Policy(),
            options=options or ReplanSettings(),
            redo=redo,
            dry_run=dry_run,
            progress=progress,
        ).run(wanted)
