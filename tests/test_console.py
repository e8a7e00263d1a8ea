"""Progress and result table: plain in pipes, alive on terminals, ids harmless."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import placements
import pytest

from jaxplace import console
from jaxplace.placement import Checkpoint
from jaxplace.status import Status


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self):
        return True


POINT = Checkpoint(1.5, "relax", 3, 0.1, 10.0, 20.0, 0.0)


def shown(placement):
    """The result table as a pipe gets it."""
    stream = io.StringIO()
    console.show(placement, Path("out/run"), stream)
    return stream.getvalue()


def logged(*points):
    """The lines that a pipe gets for these checkpoints."""
    stream = io.StringIO()
    with console.Progress(stream) as progress:
        for point in points:
            progress(point)
    assert "\x1b" not in stream.getvalue()
    return stream.getvalue().splitlines()


def test_progress_in_a_pipe_is_plain():
    """Plain lines without escapes; what is not known yet is n/a."""
    lines = logged(POINT, replace(POINT, stage="repaired", bound=None))
    assert len(lines) == 2
    assert "gap 50 %" in lines[0]
    assert "n/a" in lines[1]


def test_progress_in_a_pipe_is_a_line_a_second():
    """A log gets a line a second, each change of stage, and the last checkpoint."""
    points = [replace(POINT, elapsed_s=0.05 * k, step=k) for k in range(50)]
    stages = [replace(POINT, elapsed_s=2.5, stage=s, step=50) for s in ("repaired", "relax")]
    end = [replace(POINT, elapsed_s=2.6, step=60), replace(POINT, elapsed_s=2.7, step=61)]
    steps = [line.split("step ")[1].split()[0] for line in logged(*points, *stages, *end)]
    assert steps == ["0", "20", "40", "50", "50", "61"]


def test_progress_of_a_second_solve_starts_anew():
    """A checkpoint of an earlier time belongs to another solve, and is shown."""
    assert len(logged(replace(POINT, elapsed_s=90.0), POINT)) == 2


def test_progress_on_a_terminal_is_live(monkeypatch):
    """On a terminal the line is redrawn and gone at the end."""
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with console.Progress(stream) as progress:
        progress(POINT)
    assert "\x1b" in stream.getvalue()


def test_no_color(monkeypatch):
    """NO_COLOR takes the colours away from a terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for variable in ("COLORTERM", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    coloured, plain = Terminal(), Terminal()
    console.show(placements.placement(), Path("out"), coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    console.show(placements.placement(), Path("out"), plain)
    assert "\x1b[1;32m" in coloured.getvalue()
    assert "32m" not in plain.getvalue()


def test_table_names_the_figures():
    """Objective, bound, savings, cost parts, units, where the files are; nothing cut."""
    text = shown(placements.placement())
    for name in ("objective", "lower bound", "gap", "nearest region", "greedy cheapest"):
        assert name in text
    for name in ("electricity", "unplaced", "moves", "out/run", "report.html", "dual"):
        assert name in text
    assert "…" not in text
    assert "\x1b" not in text


def test_binding_regions_fall_by_the_dual_shown():
    """The duals in the table fall within each resource, whatever the capacities are."""
    found = placements.placement()
    lines = shown(found).split("save most\n")[1].split("\n\n")[0].splitlines()[1:]
    assert len(lines) == 10
    for resource in found.instance.resources:
        duals = [float(line.split()[-1]) for line in lines if line.split()[1] == resource]
        column = found.duals.capacity[:, found.instance.resources.index(resource)]
        assert duals == sorted(duals, reverse=True)
        assert duals[0] == pytest.approx(column.max(), rel=1e-3)


@pytest.mark.parametrize(
    ("status", "gap", "wanted"),
    [
        (Status.converged, 4e-4, "Feasible, within 0.04 % of"),
        (Status.time_limit, 4e-4, "Feasible, gap target missed: within 0.04 % of"),
        (Status.stalled, math.inf, "Feasible, gap target missed: within 2 USD of"),
    ],
)
def test_verdict_says_whether_the_target_was_reached(status, gap, wanted):
    """The first line tells a missed gap target; without a gap it gives dollars."""
    found = placements.placement()
    proof = replace(found.certificate, gap=gap)
    if math.isinf(gap):
        proof = replace(proof, objective_usd=0.0, lower_bound_usd=-2.0)
    text = shown(replace(found, status=status, certificate=proof))
    assert text.startswith(wanted)
    assert f"status {status.name}" in text


def test_ids_cannot_steer_the_terminal():
    """Markup and escape codes in ids are shown, not obeyed."""
    case = placements.instance(region_prefix="[red]\x1b[2J\n")
    text = shown(placements.placement(case))
    assert "\x1b" not in text
    assert "[red]?[2J?" in text


def test_dense_and_bare_placements_have_a_table():
    """No baselines, no parts: the table leaves them out."""
    text = shown(replace(placements.placement(placements.dense()), baselines={}))
    assert "Saved against" not in text
    assert "cost" in text


def test_steps_say_their_end_in_a_pipe():
    """A long step leaves one line in a log."""
    stream = io.StringIO()
    progress = console.Progress(stream)
    progress.steps("requests", 1, 10)
    progress.steps("requests", 10, 10)
    assert stream.getvalue() == "requests: 10 of 10\n"


def test_a_step_that_lasts_says_how_far_it_is(monkeypatch):
    """Now and then a line, not one for each part that is done."""
    clock = iter([0.0, 1.0, 20.0, 21.0, 40.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = console.Progress(stream)
    for done in (1, 2, 3, 4):
        progress.steps("Closing", done, 9)
    assert stream.getvalue() == "Closing: 2 of 9\nClosing: 4 of 9\n"


@pytest.mark.parametrize("value", ["plain", "naïve", 7])
def test_printable_keeps_letters(value):
    """Letters of any script stay."""
    assert console.printable(value) == str(value)
    json.dumps(console.printable(value))
