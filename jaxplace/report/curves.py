"""Curves over a few points, with bounds as bands, and shares as stacked areas."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxplace.report.svg import coordinate as c, picture, points, tag, text
from jaxplace.report.words import number


WIDTH, HEIGHT = 560.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 74.0, 14.0, 12.0, 46.0
COLOURS = 6
WIDE = 4.0  # largest x over smallest from which the axis is logarithmic


class Curve(NamedTuple):
    """A line with a name; where `low` is given, the band between `low` and `y` is shaded."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None


def curves(
    lines: Sequence[Curve], *, name: str, title: str, x_label: str, y_label: str, zero: bool = False
) -> str:
    """A picture of the curves with its legend; "" if there is nothing to draw.

    Args:
        lines: drawn in this order; values that are no numbers are left out.
        name: id of the picture.
        title: what a screen reader says.
        x_label: name and unit of the x axis.
        y_label: name and unit of the y axis.
        zero: whether the y axis has to show 0.
    """
    xs = [x for line in lines for x in line.x if math.isfinite(x)]
    ys = [v for line in lines for v in (*line.y, *(line.low or ())) if math.isfinite(v)]
    if not xs or not ys:
        return ""
    frame = _Frame(xs, ys, zero=zero)
    body = frame.axes(sorted(set(xs)), x_label, y_label)
    for k, line in enumerate(lines):
        colour = f"c{k % COLOURS}"
        kept = [n for n, y in enumerate(line.y) if math.isfinite(y) and math.isfinite(line.x[n])]
        if line.low is not None and len(kept) > 1:
            edge = [(line.x[n], line.y[n]) for n in kept]
            edge += [(line.x[n], line.low[n]) for n in reversed(kept)]
            body += tag("polygon", points=frame.path(edge), class_=f"band {colour}")
        path = frame.path([(line.x[n], line.y[n]) for n in kept])
        body += tag("polyline", points=path, class_=f"curve {colour}")
        for n in kept:
            about = f"{line.name}: {number(line.x[n])}, {number(line.y[n], 6)}"
            if line.low is not None:
                about += f"; at least {number(line.low[n], 6)} for any plan"
            body += tag(
                "circle",
                tag("title", text(about)),
                cx=c(frame.x(line.x[n])),
                cy=c(frame.y(line.y[n])),
                r=4,
                class_=f"mark {colour}",
            )
    image = picture(body, width=WIDTH, height=HEIGHT, title=title, name=name)
    return image + (legend([line.name for line in lines]) if len(lines) > 1 else "")


def stack(
    x: Sequence[float], parts: dict[str, Sequence[float]], *, name: str, title: str, x_label: str
) -> str:
    """Shares that sum to 1, as areas on top of each other."""
    kept = [k for k in range(len(x)) if all(math.isfinite(v[k]) for v in parts.values())]
    if len(kept) < 2:
        return ""
    at = [x[k] for k in kept]
    frame = _Frame(at, [0.0, 1.0], zero=True, tight=True)
    body, low = "", [0.0] * len(kept)
    for n, (part, values) in enumerate(parts.items()):
        high = [a + values[k] for a, k in zip(low, kept, strict=True)]
        edge = [*zip(at, high, strict=True), *reversed(list(zip(at, low, strict=True)))]
        listed = ", ".join(
            f"{number(q)}: {100 * values[k]:.1f} %" for q, k in zip(at, kept, strict=True)
        )
        body += tag(
            "polygon",
            tag("title", text(f"{part}. {listed}")),
            points=frame.path(edge),
            class_=f"area c{n % COLOURS}",
        )
        low = high
    axes = frame.axes(at, x_label, "share of IT energy")
    image = picture(axes + body, width=WIDTH, height=HEIGHT, title=title, name=name)
    return image + legend(list(parts))


def legend(names: Sequence[str]) -> str:
    """The names beside their colours."""
    keys = "".join(
        tag("span", tag("i", class_=f"key c{k % COLOURS}", aria_hidden="true") + text(name))
        for k, name in enumerate(names)
    )
    return tag("p", keys, class_="legend")


class _Frame:
    """Axes; x is logarithmic where it spans much, y is linear."""

    def __init__(
        self, xs: Sequence[float], ys: Sequence[float], *, zero: bool, tight: bool = False
    ) -> None:
        low, high = min(ys), max(ys)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        pad = 0.0 if tight else 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        self.low, self.high = low if zero and low == 0 else low - pad, high + pad
        self.logarithmic = min(xs) > 0 and max(xs) / min(xs) >= WIDE
        self.left, self.right = self.scaled(min(xs)), self.scaled(max(xs))

    def scaled(self, x: float) -> float:
        return math.log(x) if self.logarithmic else x

    def x(self, x: float) -> float:
        span = self.right - self.left
        share = (self.scaled(x) - self.left) / span if span else 0.5
        return LEFT + 10 + share * (WIDTH - LEFT - RIGHT - 20)

    def y(self, y: float) -> float:
        floor = HEIGHT - BOTTOM
        return floor - (y - self.low) / ((self.high - self.low) or 1.0) * (floor - TOP)

    def path(self, at: Sequence[tuple[float, float]]) -> str:
        return points([self.x(x) for x, _ in at], [self.y(y) for _, y in at])

    def axes(self, xs: Sequence[float], x_label: str, y_label: str) -> str:
        """Grid, ticks and labels; ticks of x that would touch are left out."""
        body, floor = "", HEIGHT - BOTTOM
        for k in range(5):
            value = self.low + (self.high - self.low) * k / 4
            y = self.y(value)
            body += tag("line", x1=c(LEFT), x2=c(WIDTH - RIGHT), y1=c(y), y2=c(y), class_="grid")
            body += tag("text", number(value, 4), x=c(LEFT - 8), y=c(y + 4), class_="tick end")
        last = -math.inf
        for value in xs:
            at = self.x(value)
            if at - last >= 44:
                body += tag("text", number(value), x=c(at), y=c(floor + 18), class_="tick mid")
                last = at
        body += tag("text", text(x_label), x=c(WIDTH - RIGHT), y=c(HEIGHT - 8), class_="tick end")
        return body + tag("text", text(y_label), x=4, y=c(HEIGHT - 8), class_="tick")
