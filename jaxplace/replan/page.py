"""`backtest.html`: cost, carbon, moves and unplaced units by hour, one line a rule."""

import math

import pandas as pd

from jaxplace.report.grid import scroll
from jaxplace.report.page import page, section
from jaxplace.report.svg import coordinate as c, picture, points, tag, text
from jaxplace.report.words import number, percent, whole


RULES = {  # rule -> (its name, the class that colours its line)
    "jaxplace": ("hourly replan", "energy"),
    "stay": ("staying put", "egress"),
    "nearest": ("nearest region", "base"),
    "frictionless": ("re-solved without friction", "move"),
}
PANELS = {
    "objective_usd": ("Cost", "USD"),
    "carbon_kg": ("Carbon", "kg CO₂e"),
    "moves": ("Moves", "units"),
    "unplaced": ("Unplaced", "units"),
}
WIDTH, HEIGHT = 1040.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 84.0, 10.0, 10.0, 28.0
STYLE = """
.run{fill:none;stroke-width:1.8;stroke-linejoin:round}
.run.energy{stroke:var(--energy)}.run.egress{stroke:var(--egress)}
.run.base{stroke:var(--base)}.run.move{stroke:var(--move)}
.key.energy{background:var(--energy)}.key.egress{background:var(--egress)}
.key.base{background:var(--base)}.key.move{background:var(--move)}
"""


def render(table: pd.DataFrame, ours: pd.DataFrame) -> str:
    """The page.

    Args:
        table: hour, rule and the figures of `PANELS`; rows sorted by hour.
        ours: the loop's rows of the history.
    """
    hours = sorted(table["hour"].unique())
    title = f"Backtest, {len(hours)} hours from {hours[0]}"
    body = _head(title, ours) + section("sums", "All hours together", _legend() + _sums(table))
    for name, (label, unit) in PANELS.items():
        heading = f"{label} by hour [{unit}]"
        body += section(name.replace("_", "-"), heading, _chart(table, hours, name, heading))
    return page(title, body, start="sums", style=STYLE, live=False)


def _head(title: str, ours: pd.DataFrame) -> str:
    """Title, and how the solves went."""
    warm = ours.loc[ours["start"] == "warm", "seconds"]
    middle = f"; a warm solve took {number(warm.median(), 3)} s (median)" if len(warm) else ""
    carried = int((ours["carried_zones"] > 0).sum())
    said = (
        f"Largest certified gap {percent(float(ours['gap'].max()))}{middle}. "
        f"{whole(int(ours['unsafe_steps'].sum()))} of {whole(int(ours['steps'].sum()))} steps "
        f"found no room in their turn; {carried} hours used older signals."
    )
    return tag("header", tag("h1", text(title)) + tag("p", text(said), class_="muted"))


def _legend() -> str:
    """The rules and their colours."""
    keys = "".join(
        tag("span", tag("i", class_=f"swatch key {kind}", aria_hidden="true") + text(name))
        for name, kind in RULES.values()
    )
    return tag("p", keys, class_="legend")


def _sums(table: pd.DataFrame) -> str:
    """Totals of every rule, and what the loop saves against it."""
    sums = table.groupby("rule")[[*PANELS, "move_usd"]].sum()
    heads = ("Rule", "Cost, USD", "of it moves, USD", "Carbon, kg", "Moves", "Unplaced", "Saved")
    head = "".join(tag("th", h, scope="col") for h in heads)
    rows = ""
    for rule, (name, _) in RULES.items():
        if rule not in sums.index:
            continue
        row = sums.loc[rule]
        cost = float(row["objective_usd"])
        mine = float(sums.loc["jaxplace", "objective_usd"]) if "jaxplace" in sums.index else cost
        saved = "" if rule == "jaxplace" or not cost else percent((cost - mine) / abs(cost))
        cells = (
            number(cost, 6),
            number(float(row["move_usd"]), 5),
            number(float(row["carbon_kg"]), 6),
            whole(row["moves"]),
            whole(row["unplaced"]),
            saved,
        )
        rows += tag("tr", tag("th", text(name), scope="row") + "".join(tag("td", v) for v in cells))
    whole_table = tag("table", tag("thead", tag("tr", head)) + tag("tbody", rows))
    return scroll(whole_table, "Totals")


def _chart(table: pd.DataFrame, hours: list[str], figure: str, title: str) -> str:
    """One figure by hour, a line a rule, from zero unless it is negative somewhere."""
    values = table[figure].astype(float)
    low, high = min(0.0, float(values.min())), float(values.max())
    high = high if high > low else low + 1.0
    at = {hour: k for k, hour in enumerate(hours)}
    span = max(len(hours) - 1, 1)

    def x(k: float) -> float:
        return LEFT + k / span * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    body = ""
    for k in range(5):
        level = low + (high - low) * k / 4
        body += tag(
            "line", x1=c(LEFT), x2=c(WIDTH - RIGHT), y1=c(y(level)), y2=c(y(level)), class_="grid"
        )
        body += tag("text", number(level, 4), x=c(LEFT - 8), y=c(y(level) + 4), class_="tick end")
    for k in sorted({round(span * part / 4) for part in range(5)} & set(range(len(hours)))):
        place = "tick" if k == 0 else "tick end" if k == span else "tick mid"
        body += tag("text", text(hours[k]), x=c(x(k)), y=c(HEIGHT - 6), class_=place)
    for rule, (_, kind) in reversed(RULES.items()):
        mine = table[table["rule"] == rule]
        pairs = [
            (x(at[hour]), y(value))
            for hour, value in zip(mine["hour"], mine[figure].astype(float), strict=True)
            if math.isfinite(value)
        ]
        if pairs:
            line = points(*zip(*pairs, strict=True))
            body += tag("polyline", points=line, class_=f"run {kind}")
    name = figure.replace("_", "-") + "-chart"
    return picture(body, width=WIDTH, height=HEIGHT, title=title, name=name)
