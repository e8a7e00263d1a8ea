"""The cost bars and the convergence of bound and plan."""

import math
from collections.abc import Callable, Sequence
from typing import TypeGuard

from jaxplace.placement import Placement
from jaxplace.report.svg import coordinate as c, picture, points, tag, text
from jaxplace.report.words import LABELS, baseline_name, number, percent


WIDTH = 680.0


def cost_bars(placement: Placement) -> str:
    """The plan's cost by part above each baseline's total, on one scale from zero."""
    proof = placement.certificate
    rows = [("This plan", proof.objective_usd)]
    rows += [
        (baseline_name(k).capitalize(), b["objective_usd"]) for k, b in placement.baselines.items()
    ]
    parts = [(k, v) for k, v in proof.cost.items() if v]
    gains = sum(min(v, 0.0) for _, v in parts)
    low = min(gains, *(v for _, v in rows), 0.0)
    high = max(sum(max(v, 0.0) for _, v in parts), *(v for _, v in rows), 0.0)
    span = (high - low) or 1.0
    left, right, step = 150.0, 90.0, 34.0
    scale = (WIDTH - left - right) / span
    zero = left - low * scale
    body = ""
    for k, (name, total) in enumerate(rows):
        y = 8 + k * step
        body += tag("text", text(name), x=c(left - 10), y=c(y + 15), class_="label end")
        body += _stack(parts, zero, y, scale) if k == 0 else _bar(name, total, zero, y, scale)
        reach = max(total, high if k == 0 and gains else total, 0.0)
        body += tag(
            "text", number(total, 5), x=c(zero + reach * scale + 8), y=c(y + 15), class_="value"
        )
    height = 12 + len(rows) * step
    body += tag("line", x1=c(zero), x2=c(zero), y1=2, y2=c(height - 8), class_="axis")
    listed = "; ".join(f"{name} {number(total, 5)} USD" for name, total in rows)
    image = picture(
        body, width=WIDTH, height=height, title=f"Total cost: {listed}", name="cost-bars"
    )
    return image + _parts_list(proof.cost, proof.objective_usd)


def _bar(name: str, total: float, zero: float, y: float, scale: float) -> str:
    """One baseline's bar."""
    x = zero + min(total, 0.0) * scale
    return tag(
        "rect",
        tag("title", text(f"{name}: {number(total, 6)} USD")),
        x=c(x),
        y=c(y),
        width=c(max(abs(total) * scale, 1.0)),
        height=22,
        rx=3,
        class_="baseline",
    )


def _stack(parts: Sequence[tuple[str, float]], zero: float, y: float, scale: float) -> str:
    """The plan's parts side by side; negative ones (paid to use power) go left of zero."""
    body, up, down = "", zero, zero
    for key, value in parts:
        wide = abs(value) * scale
        if value < 0:
            down -= wide
        x = up if value >= 0 else down
        body += tag(
            "rect",
            tag("title", text(f"{LABELS.get(key, key)}: {number(value, 6)} USD")),
            x=c(x),
            y=c(y),
            width=c(max(wide - 1.5, 0.5)),
            height=22,
            rx=2,
            class_=f"part-{key.removesuffix('_usd')}",
        )
        if value >= 0:
            up += wide
    return body


def _parts_list(cost: dict[str, float], total: float) -> str:
    """The parts in words: the legend of the bar and its figures at once."""
    items = ""
    for key, value in cost.items():
        swatch = tag("span", class_=f"swatch part-{key.removesuffix('_usd')}", aria_hidden="true")
        share = percent(value / total, 2) if total else ""
        name = tag("dt", swatch + text(LABELS.get(key, key)))
        items += tag("div", name + tag("dd", f"{number(value, 5)} USD <small>{share}</small>"))
    return tag("dl", items, class_="parts")


def convergence(placement: Placement) -> str:
    """Bound and plan against time, and below it the gap on a logarithmic scale."""
    proof = placement.certificate
    bounds = [(p.elapsed_s, p.bound) for p in placement.trace if _finite(p.bound)]
    plans = [(p.elapsed_s, p.plan) for p in placement.trace if _finite(p.plan)]
    if len(bounds) + len(plans) < 2:
        return tag("p", "The solve ended before it logged any progress.", class_="muted")
    end = max(t for t, _ in (*bounds, *plans))
    if _finite(proof.lower_bound_usd):
        bounds.append((end, proof.lower_bound_usd))
    if proof.feasible:
        plans.append((end, proof.objective_usd))
    title = (
        f"Bound and plan over {number(end, 3)} s, ending at {number(proof.lower_bound_usd, 6)} "
        f"and {number(proof.objective_usd, 6)} USD"
    )
    return _levels(bounds, plans, end, title) + _gaps(placement, end)


def _finite(value: float | None) -> TypeGuard[float]:
    """Whether there is a number to draw."""
    return value is not None and math.isfinite(value)


def _levels(bounds: list, plans: list, end: float, title: str) -> str:
    """Two step lines; early values far from the end are cut off, or they would hide it."""
    ends = [series[-1][1] for series in (bounds, plans) if series]
    reach = 0.25 * abs(ends[-1]) or 1.0
    values = [v for _, v in (*bounds, *plans)]
    low, high = max(min(values), min(ends) - reach), min(max(values), max(ends) + reach)
    pad = 0.08 * (high - low) or reach
    low, high = low - pad, high + pad
    frame = _Frame(end, low, high, height=230.0)
    body = frame.grid([low + (high - low) * k / 4 for k in range(5)], lambda v: number(v, 4))
    body += frame.line(bounds, "bound") + frame.line(plans, "plan")
    body += frame.note(bounds, "Lower bound", below=True) + frame.note(plans, "Plan", below=False)
    return picture(body, width=WIDTH, height=frame.full, title=title, name="levels")


def _gaps(placement: Placement, end: float) -> str:
    """The gap between plan and bound wherever the log has both."""
    shared = placement.certificate.unservable_usd
    found = []
    for p in placement.trace:
        if _finite(p.plan) and _finite(p.bound) and p.plan != shared:
            found.append((p.elapsed_s, (p.plan - p.bound) / abs(p.plan - shared)))
    if _finite(placement.certificate.gap):
        found.append((end, placement.certificate.gap))
    logs = [(t, math.log10(g)) for t, g in found if g > 0]
    if len(logs) < 2:
        return ""
    low = math.floor(min(v for _, v in logs))
    high = max(math.ceil(max(v for _, v in logs)), low + 1)
    frame = _Frame(end, low, high, height=130.0)
    step = max(1, math.ceil((high - low) / 4))
    body = frame.grid(range(low, high + 1, step), lambda v: percent(10.0**v))
    body += frame.line(logs, "gap") + tag(
        "text", "Gap (logarithmic)", x=c(WIDTH - 6), y=16, class_="label end gap-text"
    )
    title = f"Gap over time, ending at {percent(placement.certificate.gap)}"
    return picture(body, width=WIDTH, height=frame.full, title=title, name="gaps")


class _Frame:
    """Axes of a chart over time."""

    left, right, top, bottom = 84.0, 6.0, 8.0, 26.0

    def __init__(self, end: float, low: float, high: float, *, height: float) -> None:
        self.end, self.low, self.high = end or 1.0, low, high
        self.full, self.floor = height, height - self.bottom

    def x(self, t: float) -> float:
        return self.left + t / self.end * (WIDTH - self.left - self.right)

    def y(self, v: float) -> float:
        share = (min(max(v, self.low), self.high) - self.low) / (self.high - self.low)
        return self.floor - share * (self.floor - self.top)

    def grid(self, levels: Sequence[float], label: Callable[[float], str]) -> str:
        body = ""
        for v in levels:
            y = self.y(v)
            body += tag(
                "line", x1=c(self.left), x2=c(WIDTH - self.right), y1=c(y), y2=c(y), class_="grid"
            )
            body += tag("text", label(v), x=c(self.left - 8), y=c(y + 4), class_="tick end")
        for k in range(5):
            t = self.end * k / 4
            place = "tick end" if k == 4 else "tick mid" if k else "tick"
            body += tag(
                "text", f"{number(t, 3)} s", x=c(self.x(t)), y=c(self.full - 6), class_=place
            )
        return body

    def line(self, values: list, kind: str) -> str:
        """A step line: a value holds until the next."""
        if not values:
            return ""
        xs: list[float] = []
        ys: list[float] = []
        for k, (t, v) in enumerate(values):
            if k:
                xs.append(self.x(t))
                ys.append(ys[-1])
            xs.append(self.x(t))
            ys.append(self.y(v))
        dots = "".join(
            tag("circle", cx=c(self.x(t)), cy=c(self.y(v)), r=2.5, class_=f"dot {kind}")
            for t, v in values[-60:]
        )
        return tag("polyline", points=points(xs, ys), class_=f"line {kind}") + dots

    def note(self, values: list, name: str, *, below: bool) -> str:
        """The line's name at its right end, away from the other line."""
        if not values:
            return ""
        y = self.y(values[-1][1])
        y = min(y + 18, self.floor - 4) if below else max(y - 9, self.top + 11)
        return tag(
            "text",
            name,
            x=c(WIDTH - self.right - 4),
            y=c(y),
            class_=f"label end {'bound' if below else 'plan'}-text",
        )
