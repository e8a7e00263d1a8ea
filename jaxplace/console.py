"""What a person at a terminal sees: progress on stderr, the result on stdout.

Colour and the live line appear on a terminal only and follow `NO_COLOR`; into a pipe or a log go
plain lines, never wrapped or cut.  Ids from tables are shown with control characters replaced, so
none can steer the terminal.
"""

import math
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from jaxplace.placement import Checkpoint, Placement
from jaxplace.report.words import (
    BINDING,
    LABELS,
    Grade,
    binding,
    grade,
    number,
    percent,
    savings,
    whole,
)


PIPE_WIDTH = 110  # columns assumed where there is no terminal to ask
LINE_EVERY_S = 1.0  # in a pipe,
STEP_EVERY_S = 15.0  # and of a long step
COLOURS = {Grade.good: "green", Grade.warn: "yellow", Grade.bad: "red"}


def printable(value: object) -> str:
    """`value` on one line without control characters."""
    return "".join(c if c.isprintable() else "?" for c in str(value))


def console(stream: TextIO | None = None) -> Console:
    """A Rich console that takes ids literally (no markup, no emoji) and knows pipes."""
    file = sys.stdout if stream is None else stream
    width = None if file.isatty() else PIPE_WIDTH
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def say(line: str) -> None:
    """One plain line on stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def checkpoint_line(point: Checkpoint) -> str:
    """A checkpoint as one line of a log."""
    gap = "n/a"
    if point.bound is not None and point.plan is not None and point.plan != 0:
        gap = percent((point.plan - point.bound) / abs(point.plan))
    return (
        f"{point.elapsed_s:7.1f} s  {printable(point.stage):<10} step {point.step:<5} "
        f"bound {number(point.bound, 7):>14}  plan {number(point.plan, 7):>14}  gap {gap}"
    )


class Progress:
    """Shows a solve's checkpoints on stderr; pass it as `solve(..., progress=...)`.

    A context manager: on a terminal it keeps one line up to date; elsewhere it writes at most a
    line a second, each change of stage, and the last checkpoint; of a long step, a line now and
    then.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live: Live | None = None
        self._spinner = Spinner("dots", text="")
        self._written: Checkpoint | None = None
        self._held: Checkpoint | None = None  # came too soon after the last line
        self._stepped = time.monotonic()  # when a step's line was last written

    def __enter__(self) -> "Progress":
        if self._stream.isatty():
            self._live = Live(
                self._spinner,
                console=console(self._stream),
                transient=True,
                refresh_per_second=8,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._held is not None:
            self._write(checkpoint_line(self._held))
            self._held = None

    def stage(self, text: str) -> None:
        """Name what goes on before there are checkpoints."""
        if self._live is None:
            self._write(text)
        else:
            self._spinner.update(text=Text(text))

    def steps(self, step: str, done: int, of: int) -> None:
        """Show how far a long step is; without a terminal, now and then, and its end."""
        now = time.monotonic()
        if self._live is not None or done >= of or now - self._stepped >= STEP_EVERY_S:
            self.stage(f"{step}: {done:,} of {of:,}")
            self._stepped = now

    def __call__(self, point: Checkpoint) -> None:
        """Show a checkpoint."""
        if self._live is not None:
            text = Text(checkpoint_line(point), overflow="ellipsis", no_wrap=True)
            self._spinner.update(text=text)
        elif self._due(point):
            self._write(checkpoint_line(point))
            self._written, self._held = point, None
        else:
            self._held = point

    def _due(self, point: Checkpoint) -> bool:
        """Whether a log should have this checkpoint now; an earlier time is a new solve's."""
        last = self._written
        if last is None or point.stage != last.stage:
            return True
        return not 0 <= point.elapsed_s - last.elapsed_s < LINE_EVERY_S

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def show(placement: Placement, out: Path, stream: TextIO | None = None) -> None:
    """The result table on stdout."""
    parts: list[RenderableType] = [_verdict(placement), Text(), _figures(placement)]
    for title, table in (
        ("Saved against", _savings(placement)),
        ("Cost", _cost(placement)),
        (BINDING, _regions(placement)),
    ):
        if table is not None:
            parts += [Text(), Text(title, style="bold"), table]
    parts += [Text(), Text(f"Written to {printable(out)}"), Text(f"Report: {_report(out)}")]
    console(stream).print(Group(*parts), soft_wrap=False)


def _report(out: Path) -> str:
    """The page's path."""
    return printable(out / "report.html")


def _grid(*right: bool) -> Table:
    """A table without lines; True aligns a column to the right."""
    table = Table.grid(padding=(0, 3))
    for is_right in right:
        table.add_column(justify="right" if is_right else "left", overflow="fold")
    return table


def _verdict(placement: Placement) -> Text:
    """The certificate in a line, and the status in another."""
    proof = placement.certificate
    slack = proof.objective_usd - proof.lower_bound_usd
    far = percent(proof.gap) if math.isfinite(proof.gap) else f"{number(slack)} USD"
    head = {
        Grade.good: f"Feasible, within {far} of the best possible plan",
        Grade.warn: f"Feasible, gap target missed: within {far} of the best possible plan",
        Grade.bad: "Not feasible: " + "; ".join(map(printable, proof.violations)),
    }[grade(placement)]
    text = Text(head, style=f"bold {COLOURS[grade(placement)]}")
    return text.append(f"\n{placement.status.value}", style="not bold default")


def _figures(placement: Placement) -> Table:
    """Objective, bound, units."""
    proof, table = placement.certificate, _grid(False, True, False)
    table.add_row("objective", number(proof.objective_usd, 7), "USD")
    table.add_row("lower bound", number(proof.lower_bound_usd, 7), "USD")
    table.add_row("gap", percent(proof.gap), f"status {placement.status.name}")
    table.add_row("units placed", whole(proof.placed), f"of {whole(proof.units)}")
    held = f"of them {whole(proof.unservable)} that no region allows" if proof.unservable else ""
    table.add_row("unplaced", whole(proof.unplaced), held)
    table.add_row("moves", whole(proof.moves), "")
    table.add_row("energy", number(proof.kwh, 6), "kWh")
    table.add_row("carbon", number(proof.carbon_kg, 6), "kg CO2e")
    return table


def _savings(placement: Placement) -> Table | None:
    """The plan against the baselines."""
    found = savings(placement)
    if not found:
        return None
    table = _grid(False, True, True, True, True, True)
    table.add_row("", "USD", "share", "kWh", "kg CO2e", "fewer unplaced")
    for s in found:
        table.add_row(
            s.name,
            number(s.usd, 6),
            percent(s.share),
            number(s.kwh, 5),
            number(s.carbon_kg, 5),
            whole(s.unplaced),
        )
    return table


def _cost(placement: Placement) -> Table:
    """The objective by part."""
    proof, table = placement.certificate, _grid(False, True, False, True)
    for key, value in proof.cost.items():
        share = percent(value / proof.objective_usd) if proof.objective_usd else ""
        table.add_row(LABELS.get(key, key).lower(), number(value, 6), "USD", share)
    return table


def _regions(placement: Placement) -> Table | None:
    """Where capacity binds: the largest duals of each resource."""
    picked = binding(placement)
    if not picked:
        return None
    instance, duals = placement.instance, placement.duals.capacity
    table = _grid(False, False, True, True)
    table.add_row("region", "resource", "used", "dual, USD per unit")
    for j, r in picked:
        table.add_row(
            printable(instance.region_id[j]),
            printable(instance.resources[r]),
            percent(placement.certificate.load[j, r] / instance.capacity[j, r]),
            number(float(duals[j, r])),
        )
    return table
