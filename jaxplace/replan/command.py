"""What `jaxplace replan` shows and returns."""

import gc
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.table import Table

from jaxplace import console, output, pipeline
from jaxplace.instance import Policy
from jaxplace.replan import backtest, metrics
from jaxplace.replan.hours import listed
from jaxplace.replan.loop import Loop, Outcome, Tables
from jaxplace.replan.state import State
from jaxplace.report.words import number, percent, whole
from jaxplace.settings import Settings


SHOWN = 24  # hours of a long run that the table on stdout has


def run(
    options: Any,
    *,
    settings: Settings,
    policy: Policy,
    scenario: Path,
    extra: Mapping[str, str],
) -> int:
    """Plan the hours that the options name; the exit code.

    Args:
        options: the command's (`config.ReplanConfig`).
        settings: of the solves.
        policy: of the plans.
        scenario: folder of tables, `{hour}` not yet replaced.
        extra: texts by file name that go into each plan's folder.
    """
    hours = listed(options.hour, options.start, options.hours)
    tables, outcomes = Tables(scenario), []
    compare = options.replan.compare and options.start is not None and not options.dry_run
    with State(options.state, read_only=options.dry_run) as state, console.Progress() as progress:
        for note in state.notes:
            console.say(f"note: {console.printable(note)}")
        gc.freeze()  # what is there now stays; see `cli`
        gc.enable()
        loop = Loop(
            state=state,
            tables=tables,
            settings=settings,
            policy=policy,
            options=options.replan,
            redo=options.redo,
            dry_run=options.dry_run,
            progress=progress if len(hours) == 1 else None,
            extra=extra,
        )
        rivals = None
        if compare:  # beside the loop, from tables of their own: they know nothing of each other
            rivals = backtest.Rivals(Tables(scenario), settings, policy, options.replan)
        with pipeline.computing(), ThreadPoolExecutor(1) as beside:
            waiting: list[Future[None]] = []
            for k, outcome in enumerate(loop.run(hours), 1):
                _tell(outcome, options.json)
                if rivals is not None:
                    waiting.append(beside.submit(rivals.plan, outcome.hour))
                if len(hours) > 1:
                    progress.steps(f"Planned {outcome.hour}", k, len(hours))
                kept = Outcome(outcome.hour, outcome.row, None, outcome.folder, outcome.done)
                outcomes.append(kept)
            for plan in waiting:
                plan.result()
        if not options.json:
            _show(outcomes, state.folder)
        if rivals is not None:
            page = backtest.save(state.folder, hours, rivals)
            if not options.json:
                console.console().print(f"Page: {console.printable(page)}")
    return 0 if all(outcome.done for outcome in outcomes) else 1


def _tell(outcome: Outcome, json: bool) -> None:
    """An hour's JSON line, and its plan's notes."""
    if outcome.row is None:
        console.say(f"note: {outcome.hour} is committed already; `redo=true` plans it again")
        return
    assert outcome.placement is not None
    for note in dict.fromkeys(outcome.placement.instance.notes):
        console.say(f"note: {outcome.hour}: {console.printable(note)}")
    if json:
        figures = output.summary(outcome.placement)
        more = {"budgets": figures["budgets"], "notes": figures["notes"], "done": outcome.done}
        sys.stdout.write(metrics.line(outcome.row, **more))
        sys.stdout.flush()


def _show(outcomes: list[Outcome], folder: Path) -> None:
    """The hours that were planned, and where they lie."""
    planned = [outcome.row for outcome in outcomes if outcome.row is not None]
    table = Table.grid(padding=(0, 3))
    heads = ("hour", "objective, USD", "gap", "staying put", "moves", "unplaced", "kg CO2e", "s")
    for k in range(len(heads)):
        table.add_column(justify="right" if k else "left")
    table.add_row(*heads)
    for row in planned[-SHOWN:]:
        table.add_row(
            row.hour,
            number(row.objective_usd, 6),
            percent(row.gap),
            number(row.stay_usd, 6),
            whole(row.moves),
            whole(row.unplaced),
            number(row.carbon_kg, 5),
            number(row.seconds, 3),
        )
    shown = console.console()
    if planned:
        shown.print(table)
    if len(planned) > SHOWN:
        shown.print(f"({len(planned) - SHOWN} earlier hours are in history.parquet)")
    last = next((outcome.folder for outcome in reversed(outcomes) if outcome.folder), None)
    if last is not None:
        shown.print(f"Committed: {console.printable(last)}")
    elif not planned:
        shown.print(f"Nothing to do: {console.printable(folder)} has every hour asked for")
    else:
        shown.print("Dry run: nothing was written")
