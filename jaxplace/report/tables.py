"""The tables of the report: regions, comparison with the baselines, timings, plain pairs."""

import dataclasses
from typing import Any

import numpy as np

from jaxplace.placement import Placement
from jaxplace.report.svg import tag, text
from jaxplace.report.words import BINDING, binding as most_wanted, number, percent, savings, whole


MOST_ROWS = 4000  # regions listed; the rest is in regions.parquet


def regions(placement: Placement) -> str:
    """Every region with load, use and dual of each resource; sorts and filters in the browser."""
    instance, proof = placement.instance, placement.certificate
    order = np.argsort(-proof.region_units, kind="stable")[:MOST_ROWS]
    heads = ["Region"] + (["Country"] if instance.places else [])
    columns: list[tuple[str, Any]] = [("text", instance.region_id[order])]
    if instance.places:
        columns.append(("text", instance.places.region_country[order]))
    heads.append("Units")
    columns.append(("whole", proof.region_units[order]))
    for r, name in enumerate(instance.resources):
        load, room = proof.load[order, r], instance.capacity[order, r]
        heads += [f"{name}: load", f"{name}: capacity", f"{name}: used", f"{name}: dual, USD"]
        used = np.divide(load, room, out=np.zeros_like(load), where=room > 0)
        columns += [("number", load), ("number", room), ("bar", used)]
        columns.append(("number", placement.duals.capacity[order, r]))
    heads += ["kWh", "Carbon, kg", "Cost, USD"]
    columns += [
        ("number", v[order])
        for v in (proof.region_kwh, proof.region_carbon_kg, proof.region_cost_usd)
    ]
    rows = "".join(
        tag(
            "tr",
            "".join(
                _cell(kind, values[k], first=not n) for n, (kind, values) in enumerate(columns)
            ),
        )
        for k in range(len(order))
    )
    head = "".join(_head(name, kind) for name, (kind, _) in zip(heads, columns, strict=True))
    table = tag("table", tag("thead", tag("tr", head)) + tag("tbody", rows), id="region-table")
    return _filter(len(order), instance.regions) + _scroll(table, "Regions")


def _cell(kind: str, value: Any, *, first: bool) -> str:
    """One cell; `data-v` holds the number that sorting compares."""
    if kind == "text":
        return tag("th", text(value), scope="row") if first else tag("td", text(value))
    exact = f"{float(value):.6g}"
    if kind == "whole":
        return tag("td", whole(value), data_v=exact)
    if kind == "number":
        return tag("td", number(float(value)), data_v=exact)
    width = min(100.0, 100 * float(value))
    full = " full" if value >= 0.995 else ""
    bar = f'<span class="meter{full}"><i style="width:{width:.0f}%"></i></span>'
    return tag("td", f"{bar}{percent(float(value))}", data_v=exact, class_="used")


def _head(name: str, kind: str) -> str:
    """A column's head: a button, so that a keyboard reaches it."""
    button = tag("button", text(name), type="button")
    return tag(
        "th", button, scope="col", aria_sort="none", class_=None if kind == "text" else "right"
    )


def _filter(shown: int, total: int) -> str:
    """The search box and the live count beside it."""
    more = f" of {total:,}; the rest is in regions.parquet" if shown < total else ""
    return (
        '<div class="controls"><label>Filter <input type="search" id="filter" '
        'placeholder="region or country" autocomplete="off"></label>'
        f'<output id="filter-count" for="filter" aria-live="polite">{shown:,} regions{more}'
        "</output></div>"
    )


def _scroll(table: str, name: str) -> str:
    """A wide table that scrolls on its own, also by keyboard."""
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=name)


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
    return _scroll(table, "Savings against the baselines")


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
    return _scroll(table, BINDING)


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
