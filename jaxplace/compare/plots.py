"""The comparison's pictures: time to gap, performance profile, growth; SVG on logarithmic axes.

References:
    Dolan and Moré, Benchmarking optimization software with performance profiles, Mathematical
    Programming 91 (2002).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

from jaxplace.compare.judge import Row
from jaxplace.compare.methods import METHODS
from jaxplace.report.svg import coordinate as c, picture, points, tag, text
from jaxplace.report.words import number, percent


WIDTH, HEIGHT = 860.0, 420.0
LEFT, RIGHT, TOP, BOTTOM = 84.0, 130.0, 14.0, 46.0
SMALLEST_GAP = 1e-7  # what a smaller gap is drawn at
LINE, LONG = 14.0, 110.0  # of text, of a name
STOPPED = "stops"

Point = tuple[float, float]


@dataclass(frozen=True)
class _Axes:
    """Logarithmic axes over [low, high] each."""

    x: tuple[float, float]
    y: tuple[float, float]
    log_y: bool = True

    @classmethod
    def over(cls, values: Sequence[Point]) -> "_Axes":
        """Axes of whole decades around the points."""
        return cls(_decades(x for x, _ in values), _decades(y for _, y in values))

    def at(self, x: float, y: float) -> Point:
        """Where a point is drawn."""
        across = _share(math.log10(x), *map(math.log10, self.x))
        scale = math.log10 if self.log_y else float
        up = _share(scale(y), *map(scale, self.y))
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )

    def frame(self, x_words: str, y_words: str, x_label: Callable, y_label: Callable) -> str:
        """Grid lines, their labels, and what the axes are."""
        body = ""
        for v in _ticks(self.x):
            x, _ = self.at(v, self.y[0])
            body += tag("line", x1=c(x), x2=c(x), y1=c(TOP), y2=c(HEIGHT - BOTTOM), class_="grid")
            body += tag("text", text(x_label(v)), x=c(x), y=c(HEIGHT - 26), class_="tick mid")
        for v in _ticks(self.y) if self.log_y else [0, 0.25, 0.5, 0.75, 1]:
            _, y = self.at(self.x[0], v)
            body += tag("line", x1=c(LEFT), x2=c(WIDTH - RIGHT), y1=c(y), y2=c(y), class_="grid")
            body += tag("text", text(y_label(v)), x=c(LEFT - 8), y=c(y + 4), class_="tick end")
        middle = (LEFT + WIDTH - RIGHT) / 2
        body += tag("text", text(x_words), x=c(middle), y=c(HEIGHT - 6), class_="label mid")
        return body + tag("text", text(y_words), x=c(LEFT + 6), y=c(TOP + 12), class_="label")


def _share(value: float, low: float, high: float) -> float:
    """Where a value lies between two others, in [0, 1]."""
    return min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0)


def _decades(values: Iterable[float]) -> tuple[float, float]:
    """The powers of ten around the values."""
    logs = [math.log10(v) for v in values if v > 0] or [0.0]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return 10.0**low, 10.0 ** max(high, low + 1)


def _ticks(ends: tuple[float, float]) -> list[float]:
    """Powers of ten, at most nine."""
    low, high = (round(math.log10(v)) for v in ends)
    return [10.0**k for k in range(low, high + 1, max(1, math.ceil((high - low) / 8)))]


def _colour(method: str) -> str:
    """A hue of its own for each method."""
    names = list(METHODS)
    place = names.index(method) if method in names else crc32(method.encode()) % 97
    return f"hsl({(place * 137.5) % 360:.0f} 62% 48%)"


def _labels(ends: list[tuple[str, Point]]) -> str:
    """Names beside their points, moved down where they would cover another."""
    body = ""
    taken: list[Point] = []
    for name, (x, y) in sorted(ends, key=lambda end: end[1][1]):
        place = y + 4
        while any(abs(x - a) < LONG and abs(place - b) < LINE for a, b in taken):
            place += 1
        taken.append((x, place))
        body += tag("text", text(name), x=c(x + 8), y=c(place), style=f"fill:{_colour(name)}")
    return body


def _dot(at: Point, method: str, words: str) -> str:
    """A point that says what it is."""
    note = tag("title", text(words))
    return tag("circle", note, cx=c(at[0]), cy=c(at[1]), r=5, style=f"fill:{_colour(method)}")


def _line(path: Sequence[Point], method: str) -> str:
    """A line through points already placed."""
    if len(path) < 2:
        return ""
    style = f"fill:none;stroke:{_colour(method)};stroke-width:1.6"
    return tag("polyline", points=points(*zip(*path, strict=True)), style=style)


def time_to_gap(rows: list[Row]) -> str:
    """One instance: when each method's plan was there, and how far it is off the best bound."""
    found = [r for r in rows if r.gap_to_best is not None and r.seconds]
    if not found:
        return tag("p", "No method has a certified plan and bound to compare.", class_="muted")
    best = max(r.bound_usd for r in rows if r.bound_usd is not None)
    ends = {r.method: (r.seconds or 1.0, max(r.gap_to_best or 0.0, SMALLEST_GAP)) for r in found}
    paths = {r.method: [*_path(r, best, ends[r.method][0]), ends[r.method]] for r in found}
    axes = _Axes.over([p for path in paths.values() for p in path])
    body = axes.frame("seconds", "gap to the best bound", _seconds, percent)
    labels = []
    for row in found:
        end = axes.at(*ends[row.method])
        steps = _steps([axes.at(*p) for p in paths[row.method]])
        words = f"{row.method}: {percent(row.gap_to_best)} after {number(row.seconds, 3)} s"
        body += _line(steps, row.method) + _dot(end, row.method, words)
        labels.append((row.method, end))
    title = f"Gap against time on {rows[0].instance}"
    return picture(body + _labels(labels), width=WIDTH, height=HEIGHT, title=title,
                   name=f"gap-{crc32(rows[0].instance.encode())}")  # fmt: skip


def _path(row: Row, best: float, end: float) -> list[Point]:
    """The plans on the way, as the method says, where they improve."""
    path: list[Point] = []
    for seconds, plan, _ in row.trace:
        scale = abs((plan or 0.0) - row.unservable_usd)
        if plan is None or seconds <= 0 or seconds > end or not scale:
            continue
        gap = max((plan - best) / scale, SMALLEST_GAP)
        if not path or gap < path[-1][1]:
            path.append((seconds, gap))
    return path


def _steps(path: Sequence[Point]) -> list[Point]:
    """A value holds until the next."""
    out: list[Point] = []
    for x, y in path:
        if out:
            out.append((x, out[-1][1]))
        out.append((x, y))
    return out


def profile(rows: list[Row]) -> str:
    """Several instances: on which share a method reaches the target, by how much slower it is."""
    instances = sorted({r.instance for r in rows})
    took = {(r.method, r.instance): r.seconds_to_target for r in rows if r.seconds_to_target}
    first = {i: min((s for (_, j), s in took.items() if i == j), default=None) for i in instances}
    ratios: dict[str, list[float]] = {}
    for (method, instance), seconds in took.items():
        ratios.setdefault(method, []).append(seconds / (first[instance] or seconds))
    if len(instances) < 2 or not ratios:
        return ""
    most = max(max(r) for r in ratios.values())
    axes = _Axes((1.0, 10.0 ** max(1, math.ceil(math.log10(most * 1.01)))), (0.0, 1.0), log_y=False)
    body = axes.frame("times the fastest method's seconds", "share of instances",
                      lambda v: f"{v:g}", percent)  # fmt: skip
    labels = []
    for method, found in ratios.items():
        path = [(1.0, 0.0)]
        path += [(t, (k + 1) / len(instances)) for k, t in enumerate(sorted(found))]
        path.append((axes.x[1], path[-1][1]))
        body += _line(_steps([axes.at(*p) for p in path]), method)
        labels.append((method, axes.at(*path[-1])))
    title = f"Performance profile over {len(instances)} instances"
    return picture(body + _labels(labels), width=WIDTH, height=HEIGHT, title=title, name="profile")


def growth(rows: list[Row]) -> str:
    """Instances of several sizes: seconds against pairs, until a method has no plan any more."""
    sizes = sorted({r.requests * r.regions for r in rows})
    lines: dict[str, list[Point]] = {}
    for row in sorted(rows, key=lambda r: r.requests * r.regions):
        if row.objective_usd is not None and row.seconds:
            lines.setdefault(row.method, []).append((row.requests * row.regions, row.seconds))
    if len(sizes) < 2 or not lines:
        return ""
    axes = _Axes.over([p for path in lines.values() for p in path])
    body = axes.frame("requests x regions", "seconds until a plan", lambda v: f"{v:.0e}", _seconds)
    labels = []
    for method, path in lines.items():
        placed = [axes.at(*p) for p in path]
        body += _line(placed, method)
        for (size, seconds), at in zip(path, placed, strict=True):
            body += _dot(at, method, f"{method}: {number(seconds, 3)} s at {size:,.0f}")
        stopped = path[-1][0] < sizes[-1]
        labels.append((method, placed[-1]))
        if stopped:
            x, y = placed[-1]
            body += tag("text", STOPPED, x=c(x - 5), y=c(y - 9), style=f"fill:{_colour(method)}")
    title = f"Seconds against size, {len(sizes)} sizes"
    return picture(body + _labels(labels), width=WIDTH, height=HEIGHT, title=title, name="growth")


def _seconds(value: float) -> str:
    """A tick of a time axis."""
    return f"{value:g} s"
