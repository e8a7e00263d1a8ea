"""`frontier.html`: the curves for people."""

import pandas as pd

from jaxplace.report.grid import Column, grid
from jaxplace.report.page import bullets, header, page, section, tile, tiles
from jaxplace.report.svg import tag, text
from jaxplace.report.words import number, percent, whole
from jaxplace.studies.frontier import COLUMNS, Frontier
from jaxplace.studies.frontier_pictures import (
    capacity_duals,
    carbon_prices,
    cost_and_carbon,
    frictions,
    own_curve,
    who_moves,
)
from jaxplace.studies.variants import MODEL_MS, MODEL_MS_PER_KM


MOST_ROWS = 3000  # of the break-even table on the page
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
        + section("curve", "Cost and carbon along the frontier", cost_and_carbon(found))
        + section("where", "Who moves, and how far", who_moves(found))
        + frictions(found)
        + carbon_prices(found)
        + section("duals", "What flattens the curve: capacity", capacity_duals(found))
        + section("points", "All points", _points(found))
        + section("break-even", "Break-even", _break_even(found, break_even, break_even_rows))
        + section("model", "The latency model", _model(found))
        + section("limits", "What can and cannot be concluded", _limits(found))
    )
    return page("Energy-latency frontier", main, start="curve")


def _head(found: Frontier) -> str:
    """Title, verdict and headline figures."""
    own, instance = own_curve(found), found.last.instance
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
