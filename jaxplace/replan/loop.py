"""One hour after another: tables and the last plan in, a committed plan out."""

import dataclasses
import datetime
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from jaxplace import output, pipeline, runtime
from jaxplace.errors import InputError, OutputError
from jaxplace.instance import Policy
from jaxplace.placement import Checkpoint, Placement
from jaxplace.replan import history, metrics, signals, warm
from jaxplace.replan.history import Row
from jaxplace.replan.hours import between, short
from jaxplace.replan.order import safe_order
from jaxplace.replan.settings import ReplanSettings
from jaxplace.replan.state import State
from jaxplace.scenario import Scenario, load_scenario
from jaxplace.settings import Settings
from jaxplace.status import Status


ROW = "row.json"  # of a plan's folder: its row of the history, in case the run is killed before
SLOT = "{hour}"


@dataclass(frozen=True)
class Outcome:
    """What became of an hour.

    Attributes:
        hour: ISO 8601, UTC.
        row: the hour's row of the history, or None if its plan was committed before.
        placement: the plan, or None likewise.
        folder: where it lies; None in a dry run.
        done: whether the job is done as asked: the gap reached, every budget kept.
    """

    hour: str
    row: Row | None = None
    placement: Placement | None = None
    folder: Path | None = None
    done: bool = True


class Tables:
    """Scenarios by hour: `{hour}` in the path is the hour, as 2022-07-01T12; read once each."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self._read: tuple[str, Scenario] | None = None

    def at(self, hour: str) -> Scenario:
        """The tables of an hour."""
        path = self.path.replace(SLOT, short(hour))
        if self._read is None or self._read[0] != path:
            self._read = path, load_scenario(path)
        return self._read[1]


@dataclass
class Loop:
    """Plans hours into an open state folder.

    Attributes:
        state: open, and so locked.
        tables: the scenario of each hour.
        settings, policy, options: of the solves and of the loop.
        redo: whether hours that are committed are planned again.
        dry_run: whether nothing is written.
        progress: called with every checkpoint of a solve.
        extra: texts by file name that go into each plan's folder, such as the command's options.
    """

    state: State
    tables: Tables
    settings: Settings
    policy: Policy
    options: ReplanSettings
    redo: bool = False
    dry_run: bool = False
    progress: Callable[[Checkpoint], None] | None = None
    extra: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def run(self, hours: list[str]) -> Iterator[Outcome]:
        """Plan the hours in order; each is committed before it is handed out.

        Raises:
            InputError: tables or options that cannot be used; earlier hours stay committed.
            OutputError: no feasible plan, or the disk; likewise.
        """
        if not self.dry_run:
            self._catch_up()
        known = set(history.read(self.state.folder)["hour"])
        planned: str | None = None  # in a dry run, the plan that the next hour starts from
        last: Placement | None = None
        for hour in hours:
            if not self.redo and (hour in self.state.head.plans or hour in known):
                yield Outcome(hour)
                continue
            outcome = self._plan(hour, last if planned else None, planned)
            if self.dry_run:
                planned, last = hour, outcome.placement
            yield outcome

    def _plan(self, hour: str, dry: Placement | None, dry_hour: str | None) -> Outcome:
        """Plan one hour and commit it."""
        started = time.perf_counter()
        self._check_order(hour)
        before = dry_hour or self.state.head.before(hour)
        scenario, carried = signals.carry(self.tables.at(hour), hour, self.options.max_signal_age_h)
        start = None
        if dry is not None:
            scenario, start = scenario.replace(current=dry.assignments), warm.Start.of(dry)
        elif before is not None:
            folder = self.state.whole(before)
            current = pd.read_parquet(folder / "placement.parquet")
            scenario, start = scenario.replace(current=current), warm.load(folder)
        instance = scenario.at(hour, self.policy)
        if carried:
            notes = (*instance.notes, signals.note(carried, hour))
            instance = dataclasses.replace(instance, notes=notes)
        loaded = time.perf_counter() - started
        placement = pipeline.solve(
            instance, self.settings, warm_start=start, progress=self.progress
        )
        seconds = time.perf_counter() - started - loaded
        timings = {"load": loaded, **placement.timings_s}
        placement = dataclasses.replace(placement, timings_s=timings)
        if not placement.certificate.feasible:
            faults = "; ".join(placement.certificate.violations)
            raise OutputError(f"The plan for {hour} is not feasible, so it was not kept: {faults}")
        steps = safe_order(placement)
        assert steps.safe is not None
        row = history.row_of(
            placement,
            planned_at=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            start="cold" if start is None else "warm",
            seconds=seconds,
            hours_since=None if before is None else between(before, hour),
            carried_zones=len(carried),
            oldest_signal_h=max((c.age_h for c in carried), default=0.0),
            steps=len(steps),
            unsafe_steps=int((~steps.safe).sum()),
            plan=f"hour={short(hour)}",
            version=runtime.versions().get("jaxplace", "unknown"),
        )
        good = placement.certificate.gap <= self.settings.gap_target
        done = good and placement.status is not Status.over_budget
        if self.dry_run:
            return Outcome(hour, row, placement, None, done)

        def fill(folder: Path) -> None:
            nonlocal placement
            placement = output.fill(
                placement,
                folder,
                extra={**self.extra, ROW: json.dumps(dataclasses.asdict(row)) + "\n"},
                steps=steps,
            )
            warm.save(placement, folder)

        folder = self.state.commit(hour, fill, keep_hours=self.options.keep_hours)
        row = dataclasses.replace(row, plan=folder.name)
        history.add(self.state.folder, [row])
        metrics.write(self._metrics(), row)
        return Outcome(hour, row, placement, folder, done)

    def _check_order(self, hour: str) -> None:
        """Refuse an hour before the last committed one: was the clock set back?

        Raises:
            InputError: it is, and `redo` does not say that this is meant.
        """
        last = self.state.head.hour
        if last is not None and hour < last and not self.redo:
            raise InputError(
                f"`hour`: {hour} is before the last committed hour, {last}, and has no plan. If "
                "the clock was set back, mend it; to plan the hour all the same, add `redo=true`"
            )

    def _catch_up(self) -> None:
        """History rows of plans that were committed by a run that was killed right after."""
        known = history.read(self.state.folder).set_index("hour")["plan"].to_dict()
        rows = []
        for hour, name in self.state.head.plans.items():
            if known.get(hour) == name:
                continue
            text = (self.state.path(hour) / ROW).read_text("utf-8")
            rows.append(dataclasses.replace(Row(**json.loads(text)), plan=name))
        history.add(self.state.folder, rows)
        if rows:
            metrics.write(self._metrics(), rows[-1])

    def _metrics(self) -> Path:
        """The metrics file."""
        given = self.options.metrics
        return self.state.folder / "metrics.prom" if given is None else Path(given).expanduser()
