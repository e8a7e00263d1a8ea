"""The tables of the report: regions, comparison with the baselines, timings, plain pairs."""

import dataclasses

import numpy as np

from jaxplace.placement import Placement
from jaxplace.report.grid import Column, grid, scroll
from jaxplace.report.svg import tag, text
from jaxplace.report.words import BINDING, binding as most_wanted, number, percent, savings, whole


MOST_ROWS = 4000  # regions listed; the rest is in regions.parquet


def regions(placement: Placement) -> str:
    """Every region with load, use and dual of each resource; sorts and filters in the browser."""
    instance, proof = placement.instance, placement.certificate
    order = np.argsort(-proof.region_units, kind="stable")[:MOST_ROWS]
    columns = [Column("Region", "text", instance.region_id[order])]
    if instance.places:
        columns.append(Column("Country", "text", instance.places.region_country[order]))
    columns.append(Column("Units", "whole", proof.region_units[order]))
    for r, name in enumerate(instance.resources):
        load, room = proof.load[order, r], instance.capacity[order, r]
        used = np.divide(load, room, out=np.zeros_like(load), where=room > 0)
        columns += [
            Column(f"{name}: load", "number", load),
            Column(f"{name}: capacity", "number", room),
            Column(f"{name}: used", "bar", used),
            Column(f"{name}: dual, USD", "number", placement.duals.capacity[order, r]),
        ]
    columns += [
        Column("kWh", "number", proof.region_kwh[order]),
        Column("Carbon, kg", "number", proof.region_carbon_kg[order]),
        Column("Cost, USD", "number", proof.region_cost_usd[order]),
    ]
    return grid(
        "region-table",
        columns,
        label="Regions",
        things="regions",
        hint="region or country",
        total=instance.regions,
        rest_in="regions.parquet",
    )


def comparison(placement: Placement) -> str:
    """What the plan saves against every baseline."""
    found = savings(placement)
    if not found:
        return tag("p", "No baseline was computed.", class_="muted")
    names = ("Against", "USD saved", "Share", "kWh saved", "kg CO₂e saved", "Fewer unplaced")
    head = "".join(
        tag("th", n, scope="col", class_="right" if k else None) for k, n in enumerate(names)
    )
    rows = ""
    for s in found:
        cells = (
            number(s.usd, 5),
            percent(s.share),
            number(s.kwh, 5),
            number(s.carbon_kg, 5),
            whole(s.unplaced),
        )
        rows += tag(
            "tr",
            tag("th", text(s.name.capitalize()), scope="row")
            + "".join(tag("td", v) for v in cells),
        )
    table = tag("table", tag("thead", tag("tr", head)) + tag("tbody", rows))
    return scroll(table, "Savings against the baselines")


def binding(placement: Placement) -> str:
    """The largest duals of each resource, or "" where there is room everywhere."""
    picked = most_wanted(placement)
    if not picked:
        return ""
    instance, load = placement.instance, placement.certificate.load
    names = ("Region", "Resource", "Used", "Dual, USD per unit")
    head = "".join(
        tag("th", n, scope="col", class_="right" if k > 1 else None) for k, n in enumerate(names)
    )
    rows = "".join(
        tag(
            "tr",
            tag("th", text(instance.region_id[j]), scope="row")
            + tag("td", text(instance.resources[r]), class_="left")
            + tag("td", percent(load[j, r] / instance.capacity[j, r]))
            + tag("td", number(float(placement.duals.capacity[j, r]))),
        )
        for j, r in picked
    )
    table = tag("table", tag("thead", tag("tr", head)) + tag("tbody", rows), id="binding")
    return scroll(table, BINDING)


def pairs(items: dict[str, object]) -> str:
    """Names and values, one a line."""
    return tag(
        "dl",
        "".join(tag("div", tag("dt", text(k)) + tag("dd", text(v))) for k, v in items.items()),
        class_="pairs",
    )


def policy(placement: Placement) -> str:
    """The policy that the plan was made with."""
    values = dataclasses.asdict(placement.instance.policy)
    return pairs({k: "none" if v is None else v for k, v in values.items()})


def timings(placement: Placement) -> str:
    """Seconds of every stage."""
    return pairs({k: f"{number(v, 3)} s" for k, v in placement.timings_s.items()})
