"""Progress and result table: plain in pipes, alive on terminals, ids harmless."""

import io
import json
from dataclasses import replace
from pathlib import Path

import placements
import pytest

from jaxplace import console
from jaxplace.placement import Checkpoint


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


def test_progress_in_a_pipe_is_a_line_each():
    """One plain line per checkpoint, without escapes."""
    stream = io.StringIO()
    with console.Progress(stream) as progress:
        progress.stage("Reading")
        progress(POINT)
        progress(replace(POINT, bound=None, plan=None))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert "gap 50 %" in lines[1]
    assert "n/a" in lines[2]
    assert "\x1b" not in stream.getvalue()


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


@pytest.mark.parametrize("value", ["plain", "naïve", 7])
def test_printable_keeps_letters(value):
    """Letters of any script stay."""
    assert console.printable(value) == str(value)
    json.dumps(console.printable(value))
