"""The sections of `frontier.html` that are pictures."""

from collections.abc import Iterable

import pandas as pd

from jaxplace.report.curves import Curve, curves, stack
from jaxplace.report.grid import Column, grid
from jaxplace.report.page import bullets, section
from jaxplace.report.svg import tag, text
from jaxplace.studies.frontier import COLUMNS, MODELLED, PLAN, UNLIMITED, Frontier


TOP_DUALS = 6


def own_curve(found: Frontier) -> pd.DataFrame:
    """The scenario's own curve at its first carbon price."""
    plan = found.points[found.points["series"] == PLAN]
    return plan[plan["carbon_price_usd_per_t"] == plan["carbon_price_usd_per_t"].iloc[0]]


def cost_and_carbon(found: Frontier) -> str:
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
    returns = own_curve(found)
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


def who_moves(found: Frontier) -> str:
    """Shares of the scenario's own curve, all workloads and one by one."""
    own = own_curve(found)
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


def frictions(found: Frontier) -> str:
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


def carbon_prices(found: Frontier) -> str:
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


def capacity_duals(found: Frontier) -> str:
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


def _figure(title: str, image: str) -> str:
    """A picture under its heading."""
    body = image or tag("p", "There is nothing to draw.", class_="muted")
    return tag("div", tag("h3", text(title)) + body)


def _curves(found: Frontier) -> Iterable[tuple[tuple, pd.DataFrame]]:
    """((series, price), rows) of every curve, in order."""
    return found.points.groupby(["series", "carbon_price_usd_per_t"], sort=False)


def _prices(found: Frontier) -> int:
    """Number of carbon prices."""
    return found.points["carbon_price_usd_per_t"].nunique()
