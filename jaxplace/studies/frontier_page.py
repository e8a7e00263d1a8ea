"""`frontier.html`: the curves for people."""

import itertools

import pandas as pd

from jaxplace.report.curves import Curve, curves, stack
from jaxplace.report.grid import Column, grid
from jaxplace.report.page import bullets, header, page, section, tile, tiles
from jaxplace.report.svg import tag, text
from jaxplace.report.words import number, percent, whole
from jaxplace.studies.frontier import COLUMNS, MODELLED, PLAN, UNLIMITED, Frontier
from jaxplace.studies.variants import MODEL_MS, MODEL_MS_PER_KM


MOST_ROWS = 3000  # of the break-even table on the page
TOP_DUALS = 6
KINDS = {
    "series": ("Curve", "text"),
    "carbon_price_usd_per_t": ("Carbon price, USD/t", "number"),
    "objective_usd": ("Objective, USD", "number"),
    "lower_bound_usd": ("Lower bound, USD", "number"),
    "gap": ("Gap", "percent"),
    "energy_usd": ("Electricity, USD", "number"),
    "egress_usd": ("Egress, USD", "number"),
    "move_usd": ("Moves, USD", "number"),
    "unplaced_usd": ("Unplaced, USD", "number"),
    "carbon_kg": ("Carbon, kg", "number"),
    "placed_it_kwh": ("IT energy placed, kWh", "number"),
    "unservable_kwh": ("unservable, kWh", "number"),
    "relocatable_kwh": ("relocatable, kWh", "number"),
    "relocated_kwh": ("relocated, kWh", "number"),
    "share_local": ("At home", "percent"),
    "share_regional": ("Regional", "percent"),
    "share_energy": ("Beyond", "percent"),
    "energy_return_usd_per_mwh_ms": ("Energy return, USD/MWh/ms", "number"),
    "carbon_return_kg_per_mwh_ms": ("Carbon return, kg/MWh/ms", "number"),
}
CONCLUDE = (
    "Each point is a plan of the same hour, with a bound: no plan of these tables does better than "
    "the band's lower edge.",
    "Points that place different units (see unservable) compare by cost per MWh placed, not by "
    "the objective.",
    "Carbon is what the column of `signals` says. An average intensity does not tell what a grid "
    "emits for one more kWh; use a marginal column for that.",
    "Prices do not answer to the load that is moved, and one hour says nothing about a year.",
)


def render(found: Frontier, break_even: pd.DataFrame, break_even_rows: int) -> str:
    """The page.

    Args:
        found: the curves.
        break_even: the most worthwhile rows of the table.
        break_even_rows: how many rows the file has.
    """
    main = (
        _head(found)
        + section("curve", "Cost and carbon along the frontier", _curve(found))
        + section("where", "Who moves, and how far", _where(found))
        + _ladder(found)
        + _pareto(found)
        + section("duals", "What flattens the curve: capacity", _duals(found))
        + section("points", "All points", _points(found))
        + section("break-even", "Break-even", _break_even(found, break_even, break_even_rows))
        + section("model", "The latency model", _model(found))
        + section("limits", "What can and cannot be concluded", _limits(found))
    )
    return page("Energy-latency frontier", main, start="curve")


def _own(found: Frontier) -> pd.DataFrame:
    """The scenario's own curve at its first carbon price."""
    plan = found.points[found.points["series"] == PLAN]
    return plan[plan["carbon_price_usd_per_t"] == plan["carbon_price_usd_per_t"].iloc[0]]


def _head(found: Frontier) -> str:
    """Title, verdict and headline figures."""
    own, instance = _own(found), found.last.instance
    first, last = own.iloc[0], own.iloc[-1]
    met = found.worst_gap <= found.gap_target
    badge = (
        "good" if met else "warn",
        f"{len(found.points)} points, worst gap {percent(found.worst_gap)}",
    )
    size = (
        f"{instance.hour or 'one hour'}; {whole(len(instance.request_id))} requests, "
        f"{whole(instance.regions)} regions; {COLUMNS[found.kind]} from "
        f"{number(first[found.label])} to {number(last[found.label])}"
    )
    saved = first["cost_usd_per_mwh"] - last["cost_usd_per_mwh"]
    carbon = first["carbon_kg_per_mwh"] - last["carbon_kg_per_mwh"]
    share = last["relocatable_kwh"] / last["it_kwh"] if last["it_kwh"] else 0.0
    moved = last["relocated_kwh"] / last["it_kwh"] if last["it_kwh"] else 0.0
    return header("Energy-latency frontier", badge, size) + tiles(
        tile(
            "Worth of latency",
            number(saved, 4),
            "USD/MWh",
            "electricity, egress and moves per MWh of IT energy, tightest less loosest",
        ),
        tile("In carbon", number(carbon, 4), "kg/MWh", "the same for carbon"),
        tile("Could move", percent(share), "", "of IT energy, at the loosest budget"),
        tile("Moves", percent(moved), "", "of IT energy runs elsewhere than at home there"),
    )


def _curve(found: Frontier) -> str:
    """Objective with its band, and carbon."""
    notes = bullets(found.notes, flagged=True)
    x_label = COLUMNS[found.kind]
    cost, carbon = [], []
    for (series, price), rows in _curves(found):
        name = f"{series}, {price:g} USD/t" if _prices(found) > 1 else series
        x = rows[found.label].tolist()
        placed = (rows["placed_it_kwh"] / 1e3).tolist()
        if series in (PLAN, UNLIMITED, MODELLED):
            slack = (rows["objective_usd"] - rows["lower_bound_usd"]).tolist()
            y = rows["cost_usd_per_mwh"].tolist()
            low = [v - s / p if p else v for v, s, p in zip(y, slack, placed, strict=True)]
            cost.append(Curve(name, x, y, low))
            carbon.append(Curve(name, x, rows["carbon_kg_per_mwh"].tolist()))
    returns = _own(found)
    gains = [
        Curve(
            "energy",
            returns[found.label].tolist(),
            returns["energy_return_usd_per_mwh_ms"].tolist(),
        )
    ]
    return notes + tag(
        "div",
        _figure(
            "Cost per MWh of IT energy placed",
            curves(
                cost,
                name="cost-curve",
                title="Cost of electricity, egress and moves per MWh over the latency budget; "
                "the band is what the certified gap leaves open",
                x_label=x_label,
                y_label="USD/MWh",
            ),
        )
        + _figure(
            "Carbon per MWh",
            curves(
                carbon,
                name="carbon-curve",
                title="Carbon per MWh of IT energy over the latency budget",
                x_label=x_label,
                y_label="kg/MWh",
            ),
        )
        + _figure(
            "What one more ms returns",
            curves(
                gains,
                name="return-curve",
                title="Energy return on latency in USD per MWh and ms",
                x_label=x_label,
                y_label="USD/MWh/ms",
                zero=True,
            ),
        ),
        class_="pair",
    )


def _figure(title: str, image: str) -> str:
    """A picture under its heading."""
    body = image or tag("p", "There is nothing to draw.", class_="muted")
    return tag("div", tag("h3", text(title)) + body)


def _curves(found: Frontier) -> "itertools.chain":
    """((series, price), rows) of every curve, in order."""
    groups = found.points.groupby(["series", "carbon_price_usd_per_t"], sort=False)
    return itertools.chain(groups)


def _prices(found: Frontier) -> int:
    """Number of carbon prices."""
    return found.points["carbon_price_usd_per_t"].nunique()


def _where(found: Frontier) -> str:
    """Shares of the scenario's own curve, all workloads and one by one."""
    own = _own(found)
    x = own[found.label].tolist()
    lines = [
        Curve("relocatable", x, (own["relocatable_kwh"] / own["it_kwh"]).tolist()),
        Curve("relocated", x, (own["relocated_kwh"] / own["it_kwh"]).tolist()),
    ]
    parts = {
        "at home": own["share_local"].tolist(),
        "regional": own["share_regional"].tolist(),
        "beyond": own["share_energy"].tolist(),
    }
    pictures = tag(
        "div",
        _figure(
            "Who could move, and who does",
            curves(
                lines,
                name="relocation",
                title="Share of IT energy that could run elsewhere than at home, and that does",
                x_label=COLUMNS[found.kind],
                y_label="share",
                zero=True,
            ),
        )
        + _figure(
            "How far from home",
            stack(
                x,
                parts,
                name="shares",
                title="Shares of IT energy at home, regional and beyond",
                x_label=COLUMNS[found.kind],
            ),
        ),
        class_="pair",
    )
    rows = found.workloads
    rows = rows[
        (rows["series"] == PLAN)
        & (rows["carbon_price_usd_per_t"] == own["carbon_price_usd_per_t"].iloc[0])
    ]
    table = grid(
        "workloads",
        [
            Column("Workload", "text", rows["workload"].tolist()),
            Column(COLUMNS[found.kind], "number", rows[found.label].tolist()),
            Column("IT energy placed, kWh", "number", rows["placed_it_kwh"].tolist()),
            Column("At home", "bar", rows["share_local"].fillna(0.0).tolist()),
            Column("Regional", "bar", rows["share_regional"].fillna(0.0).tolist()),
            Column("Beyond", "bar", rows["share_energy"].fillna(0.0).tolist()),
        ],
        label="Shares by workload",
        things="rows",
        hint="workload",
    )
    return pictures + tag("h3", "By workload") + table


def _ladder(found: Frontier) -> str:
    """Friction by friction: the same curve as each is put in."""
    ladder = [name for name in found.points["series"].unique() if name not in (UNLIMITED, MODELLED)]
    if len(ladder) < 2:
        return ""
    lines = []
    for name in [n for n in ladder if n != PLAN] + [PLAN]:
        rows = found.points[found.points["series"] == name]
        rows = rows[rows["carbon_price_usd_per_t"] == rows["carbon_price_usd_per_t"].iloc[0]]
        shown = "+ capacity (the plan)" if name == PLAN else name
        lines.append(Curve(shown, rows[found.label].tolist(), rows["cost_usd_per_mwh"].tolist()))
    image = curves(
        lines,
        name="ladder",
        title="Cost per MWh with migration, egress, residency and capacity put in one by one",
        x_label=COLUMNS[found.kind],
        y_label="USD/MWh",
    )
    words = "Each curve has one friction more than the one before; the distance is its price."
    return section("frictions", "What friction eats", tag("p", words, class_="muted") + image)


def _pareto(found: Frontier) -> str:
    """Cost against carbon over the carbon prices, a line for each budget."""
    if _prices(found) < 2:
        return ""
    plan = found.points[found.points["series"] == PLAN]
    lines = []
    for value, rows in plan.groupby(found.label):
        cost = rows["energy_usd"] + rows["egress_usd"] + rows["move_usd"]
        name = f"{COLUMNS[found.kind]} {value:g}"
        lines.append(Curve(name, rows["carbon_kg"].tolist(), cost.tolist()))
    image = curves(
        lines,
        name="pareto",
        title="Cost without carbon's price against carbon, over the carbon prices",
        x_label="carbon, kg",
        y_label="USD",
    )
    words = "Along each line the price of carbon rises from right to left."
    return section("pareto-front", "Cost against carbon", tag("p", words, class_="muted") + image)


def _duals(found: Frontier) -> str:
    """The largest capacity duals along the curve, by region."""
    duals = found.duals[
        found.duals["carbon_price_usd_per_t"] == found.duals["carbon_price_usd_per_t"].iloc[0]
    ]
    body = ""
    for k, (resource, rows) in enumerate(duals.groupby("resource", sort=False)):
        top = rows.groupby("region")["dual_usd"].max().nlargest(TOP_DUALS)
        lines = []
        for region in top[top > 0].index:
            mine = rows[rows["region"] == region]
            lines.append(Curve(region, mine[found.label].tolist(), mine["dual_usd"].tolist()))
        image = curves(
            lines,
            name=f"duals-{k}",
            title=f"Capacity duals of {resource} along the frontier",
            x_label=COLUMNS[found.kind],
            y_label=f"USD per unit of {resource}",
            zero=True,
        )
        body += _figure(f"{resource}: the regions most wanted", image)
    words = (
        "A dual is what one more unit of a region's capacity would save. Where duals rise as "
        "budgets relax, the regions that latency opens are full already. `frontier.unlimited=true` "
        "draws the curve with capacities lifted."
    )
    return tag("p", words, class_="muted") + tag("div", body, class_="pair")


def _points(found: Frontier) -> str:
    """Every point with its figures."""
    points = found.points
    columns = [Column("Curve", "text", points["series"].tolist())]
    columns.append(Column(COLUMNS[found.kind], "number", points[found.label].tolist()))
    for name, (head, kind) in KINDS.items():
        if name != "series":
            columns.append(Column(head, kind, points[name].tolist()))
    return grid("point-table", columns, label="Points", things="points", hint="curve")


def _break_even(found: Frontier, rows: pd.DataFrame, total: int) -> str:
    """The rows with the most to gain."""
    words = (
        f"Per unit of a class of requests, moved from home to a region, at the loosest budget "
        f"({number(found.last.certificate.gap * 100)} % gap): what electricity and priced carbon "
        "save, what egress and moving cost, and the capacity dual. Worth it where the net is "
        "above 0; the break-even price is what electricity there may cost."
    )
    money = [
        ("saving_usd", "Saving, USD"),
        ("egress_usd", "Egress, USD"),
        ("move_usd", "Move, USD"),
        ("dual_usd", "Dual, USD"),
        ("net_usd", "Net, USD"),
        ("break_even_usd_per_mwh", "Break-even price, USD/MWh"),
    ]
    columns = [
        Column("Origin", "text", rows["origin"].tolist()),
        Column("Workload", "text", rows["workload"].tolist()),
        Column("Region", "text", rows["region"].tolist()),
        Column("Units", "whole", rows["units"].tolist()),
        Column("Allowed", "percent", rows["allowed_share"].tolist()),
        *(Column(head, "number", rows[name].tolist()) for name, head in money),
        Column("Worth it", "text", ["yes" if v else "no" for v in rows["worth_it"]]),
    ]
    table = grid(
        "break-even-table",
        columns,
        label="Break-even",
        things="rows",
        hint="origin, workload, region or yes",
        total=total,
        rest_in="break_even.parquet",
    )
    return tag("p", text(words), class_="muted") + table


def _model(found: Frontier) -> str:
    """How far the distance model is from the table."""
    error = found.model_error
    if not error["pairs"]:
        return tag("p", "The table has no round trips to compare with.")
    words = (
        f"rtt = {MODEL_MS:g} + {MODEL_MS_PER_KM:g} km, as reported for Luo & Yang 2026, against "
        f"{whole(error['pairs'])} round trips of the table: on average "
        f"{number(error['mean_ms'])} ms too long, median error "
        f"{number(error['median_absolute_ms'])} ms, nine tenths within "
        f"{number(error['p90_absolute_ms'])} ms. `frontier.modelled=true` draws its curve."
    )
    return tag("p", text(words))


def _limits(found: Frontier) -> str:
    """What the page does not say."""
    places = found.last.instance.places
    assumed = places.assumptions if places else ()
    body = bullets(CONCLUDE)
    if assumed:
        body += tag("h3", "Assumed, not measured") + bullets(assumed, flagged=True)
    return body
