"""`audit.html`: what each closing costs, for people."""

import numpy as np

from jaxplace.report.grid import Column, grid
from jaxplace.report.page import bullets, header, page, section, tile, tiles
from jaxplace.report.svg import coordinate as c, picture, tag, text
from jaxplace.report.words import number, percent, whole
from jaxplace.studies.audit import Audit


MOST_BARS, MOST_ROWS = 15, 4000
WIDTH, STEP, LEFT, RIGHT = 680.0, 28.0, 190.0, 130.0
WHAT = {"region": "region", "grid_zone": "grid zone", "country": "country"}


def render(found: Audit) -> str:
    """The page."""
    table, what = found.closings, WHAT[found.by.value]
    met = found.worst_gap <= found.gap_target
    instance = found.base.instance
    size = (
        f"{instance.hour or 'one hour'}; each {what} closed in turn: {whole(len(table))} closings"
        + (f", {whole(found.left_out)} left out" if found.left_out else "")
    )
    badge = ("good" if met else "warn", f"worst gap {percent(found.worst_gap)}")
    main = (
        header("Audit", badge, size)
        + _tiles(found)
        + section("harm", "Most harmful", _bars(found))
        + section("closings", "All closings", _table(found))
        + section("reading", "How to read this", _reading(found))
    )
    return page("Audit", main, start="harm")


def _tiles(found: Audit) -> str:
    """The headline figures."""
    table, what = found.closings, WHAT[found.by.value]
    cost = tile(
        "Cost with all open", number(found.base_usd, 5), "USD", "the hour, every penalty included"
    )
    if not len(table):
        return tiles(cost)
    worst = table.iloc[0]
    captive = int((table["captive_units"] > 0).sum())
    return tiles(
        cost,
        tile(
            f"Worst {what}",
            text(worst[found.by.value]),
            "",
            f"closing it costs {number(worst['extra_cost_usd'])} USD more",
        ),
        tile(
            "Single points of failure",
            whole(captive),
            "",
            "are the only allowed place of some units",
        ),
        tile("Most units left out", whole(table["unplaced"].max()), "", "by any one closing"),
    )


def _bars(found: Audit) -> str:
    """The most harmful closings; the line is what the gaps leave open."""
    table = found.closings.head(MOST_BARS)
    if not len(table):
        return tag("p", "Nothing was closed.", class_="muted")
    top = float(table["extra_cost_high_usd"].max()) or 1.0
    scale, body = (WIDTH - LEFT - RIGHT) / top, ""
    for k, row in enumerate(table.itertuples(index=False)):
        name, y = str(getattr(row, found.by.value)), 6 + k * STEP
        shown = name if len(name) <= 24 else name[:23] + "…"
        about = (
            f"{name}: {number(row.extra_cost_usd)} USD more, "
            f"between {number(row.extra_cost_low_usd)} and {number(row.extra_cost_high_usd)}"
        )
        middle = y + 9
        body += tag("text", text(shown), x=c(LEFT - 10), y=c(y + 14), class_="label end")
        body += tag(
            "rect",
            tag("title", text(about)),
            x=c(LEFT),
            y=c(y),
            width=c(max(row.extra_cost_usd * scale, 1.0)),
            height=18,
            rx=3,
            class_="part-unplaced" if row.unplaced > 0 else "part-cost",
        )
        low, high = LEFT + row.extra_cost_low_usd * scale, LEFT + row.extra_cost_high_usd * scale
        body += tag("line", x1=c(low), x2=c(high), y1=c(middle), y2=c(middle), class_="axis")
        body += tag(
            "text", f"{number(row.extra_cost_usd)} USD", x=c(high + 8), y=c(y + 14), class_="value"
        )
    worst = table.iloc[0]
    most = number(worst["extra_cost_usd"])
    title = f"Extra cost of the {len(table)} most harmful closings, up to {most} USD"
    image = picture(body, width=WIDTH, height=12 + len(table) * STEP, title=title, name="harm-bars")
    words = (
        "Red: some units are then left out. The thin line spans what the certified gaps leave open."
    )
    return image + tag("p", words, class_="muted small")


def _table(found: Audit) -> str:
    """Every closing."""
    table, names = found.closings.head(MOST_ROWS), found.base.instance.resources
    if not len(table):
        return ""
    columns = [
        Column(WHAT[found.by.value].capitalize(), "text", table[found.by.value].tolist()),
        Column("Extra cost, USD", "number", table["extra_cost_usd"].tolist()),
        Column("Extra carbon, kg", "number", table["extra_carbon_kg"].tolist()),
        Column("More unplaced", "whole", table["unplaced"].tolist()),
        Column("More moves", "whole", table["moves"].tolist()),
        Column("Gap", "percent", table["gap"].tolist()),
        Column("Units there", "whole", table["units"].tolist()),
    ]
    for name in names:
        columns.append(Column(f"{name}: lost", "number", table[f"lost_{name}"].tolist()))
        columns.append(Column(f"{name}: short", "number", table[f"short_{name}"].tolist()))
    columns += [
        Column(
            "Most wanted then",
            "text",
            [v if isinstance(v, str) else "" for v in table["mend_region"]],
        ),
        Column("its dual, USD", "number", table["mend_usd"].tolist()),
        Column("Units with no other region", "whole", table["captive_units"].tolist()),
        Column(
            "Only region", "text", ["yes" if v else "no" for v in np.asarray(table["only_region"])]
        ),
    ]
    return grid(
        "closing-table",
        columns,
        label="Closings",
        things="closings",
        hint="name, or yes",
        total=len(found.closings),
        rest_in="audit.parquet",
    )


def _reading(found: Audit) -> str:
    """What the columns mean and do not."""
    return bullets(
        (
            "Extra cost is against the cheapest plan met with all open; a plan with something "
            "closed counts as one, so no extra cost is below 0.",
            "Lost: what the units that ran there use; as much capacity wherever they may run would "
            "make the fleet whole. Short: what units use that are left out for lack of room.",
            "Most wanted then: where the closing makes capacity scarcest, and what one more unit "
            "of it would save.",
            "Units with no other region are unservable while it is closed: no capacity elsewhere "
            "helps them, only other rules (latency, residency, hosting).",
            "The hour is placed anew with perfect knowledge; a real outage also loses what was "
            "running. One hour says nothing about a worse one.",
        )
    )
