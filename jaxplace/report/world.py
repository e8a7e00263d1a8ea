"""The map: regions as discs in rings on a world outline, and the largest flows to them."""

from collections.abc import Iterator
from importlib import resources

import numpy as np

from jaxplace.instance import Places, Terms
from jaxplace.placement import Placement
from jaxplace.report.svg import coordinate as c, picture, tag, text
from jaxplace.report.words import number, percent, whole


WIDTH, HEIGHT = 1000.0, 400.0  # 360 degrees wide, from 85 N to 59 S
TOP_LATITUDE = 85.0
MOST_REGIONS = 1500  # drawn; beyond that discs only hide one another
MOST_ARCS = 90
CELL_DEG = 10.0  # origins are gathered in cells of this size
SHADES = 6


def world_map(placement: Placement) -> str:
    """The map with its legend, or "" for an instance without places."""
    places = placement.instance.places
    if places is None or not isinstance(placement.instance.terms, Terms):
        return ""
    drawn = np.argsort(-placement.certificate.region_units, kind="stable")[:MOST_REGIONS]
    drawn = np.sort(drawn)
    body = tag("g", _graticule() + _land(), aria_hidden="true")
    body += tag("g", _flows(placement, places, placement.instance.terms.origin), class_="flows")
    names = placement.instance.resources
    for r, name in enumerate(names):
        hidden = None if r == 0 else "hidden"
        body += tag("g", _discs(placement, places, r, drawn), data_resource=name, visibility=hidden)
    title = (
        f"Map of {len(drawn)} regions: disc area is load, ring area capacity, colour the capacity "
        "dual; lines are the largest flows from where requests come from. The table of regions "
        "has every figure."
    )
    image = picture(body, width=WIDTH, height=HEIGHT, title=title, name="map")
    framed = tag("div", image, class_="map", tabindex="0", role="group", aria_label="Map, scrolls")
    return _controls(names) + framed + _legend(placement, len(drawn))


def _x(longitude: np.ndarray) -> np.ndarray:
    """Degrees east to pixels."""
    return (longitude + 180.0) % 360.0 * WIDTH / 360.0


def _y(latitude: np.ndarray) -> np.ndarray:
    """Degrees north to pixels."""
    return np.clip((TOP_LATITUDE - latitude) * WIDTH / 360.0, 4.0, HEIGHT - 4.0)


def _land() -> str:
    """Natural Earth 1:110m countries (public domain), simplified, in tenths of a pixel."""
    path = resources.files("jaxplace.report").joinpath("land.svgpath").read_text("ascii")
    return tag("path", d=path.strip(), transform="scale(0.1)", class_="land")


def _graticule() -> str:
    """Meridians and parallels, 30 degrees apart."""
    lines = ""
    for degrees in range(-150, 180, 30):
        x = c(float(_x(np.array(degrees))))
        lines += tag("line", x1=x, x2=x, y1=0, y2=c(HEIGHT))
    for degrees in range(-30, 90, 30):
        y = c(float(_y(np.array(degrees))))
        lines += tag("line", x1=0, x2=c(WIDTH), y1=y, y2=y)
    return tag("g", lines, class_="graticule")


def shades(duals: np.ndarray) -> np.ndarray:
    """[m] class of each dual: 0 for none, then 1 to SHADES by its share of the largest."""
    top = float(duals.max(initial=0.0))
    if top <= 0:
        return np.zeros(len(duals), int)
    return np.where(duals > 0, np.ceil(np.sqrt(duals / top) * SHADES), 0).astype(int)


def _discs(placement: Placement, places: Places, r: int, drawn: np.ndarray) -> str:
    """Ring and disc of every drawn region for one resource, the largest first."""
    capacity, load = placement.instance.capacity[:, r], placement.certificate.load[:, r]
    dual = placement.duals.capacity[:, r]
    most = max(float(capacity.max(initial=0.0)), float(load.max(initial=0.0))) or 1.0
    # rings together cover at most a tenth of the map, and one is never larger than 20 px
    share = np.sqrt(0.1 * WIDTH * HEIGHT / np.pi / max(float((capacity / most).sum()), 1e-9))
    unit = float(min(20.0, share))
    ring, disc = unit * np.sqrt(capacity / most), unit * np.sqrt(load / most)
    x, y, shade = _x(places.region_longitude), _y(places.region_latitude), shades(dual)
    units = placement.certificate.region_units
    body = ""
    for j in drawn[np.argsort(-ring[drawn], kind="stable")]:
        used = percent(load[j] / capacity[j], 3) if capacity[j] else "no capacity"
        about = (
            f"{placement.instance.region_id[j]} ({places.region_country[j]}): {used} used, "
            f"{whole(units[j])} units, dual {number(dual[j], 3)} USD"
        )
        at = {"cx": c(x[j]), "cy": c(y[j])}
        body += tag(
            "g",
            tag("title", text(about))
            + tag("circle", **at, r=c(max(ring[j], 1.5)), class_="ring")
            + tag("circle", **at, r=c(disc[j]), class_=f"disc s{shade[j]}"),
        )
    return body


def _flows(placement: Placement, places: Places, origin: np.ndarray) -> str:
    """The largest flows as arcs, thicker for more units."""
    arcs = list(_largest(placement, places, origin))
    if not arcs:
        return ""
    most = max(units for *_, units in arcs)
    body = ""
    for x0, y0, x1, y1, units in reversed(arcs):
        bend = 0.18 * abs(x1 - x0) + 4
        path = f"M{c(x0)} {c(y0)}Q{c((x0 + x1) / 2)} {c(min(y0, y1) - bend)} {c(x1)} {c(y1)}"
        body += tag("path", d=path, stroke_width=c(max(0.6, 5.0 * (units / most) ** 0.5)))
        body += tag("circle", cx=c(x0), cy=c(y0), r=1.6)
    return body


def _largest(
    placement: Placement, places: Places, row_origin: np.ndarray
) -> Iterator[tuple[float, ...]]:
    """(x, y of the origins' cell, x, y of the region, units) of the MOST_ARCS largest flows."""
    instance, plan = placement.instance, placement.assignment
    m = instance.regions
    cells = np.floor(places.origin_latitude / CELL_DEG) * 1000
    cells = cells + np.floor(places.origin_longitude / CELL_DEG)
    names, cell = np.unique(cells, return_inverse=True)
    placed = np.flatnonzero(plan.region >= 0)
    origin = row_origin[plan.row[placed]]
    count = plan.count[placed]
    units = np.bincount(cell[origin] * m + plan.region[placed], count, len(names) * m)
    weight = np.bincount(origin, count, len(cell))
    weight = np.maximum(weight, 1e-9)  # a cell without requests still has a middle
    total = np.bincount(cell, weight)
    x = np.bincount(cell, weight * _x(places.origin_longitude)) / total
    y = np.bincount(cell, weight * _y(places.origin_latitude)) / total
    rx, ry = _x(places.region_longitude), _y(places.region_latitude)
    for k in np.argsort(-units, kind="stable")[:MOST_ARCS]:
        if units[k] > 0:
            o, j = divmod(int(k), m)
            yield float(x[o]), float(y[o]), float(rx[j]), float(ry[j]), float(units[k])


def _controls(names: tuple[str, ...]) -> str:
    """What the map shows: which resource, and whether flows."""
    box = tag("label", '<input type="checkbox" id="show-flows" checked> Flows')
    if len(names) > 1:
        options = "".join(tag("option", text(n), value=n) for n in names)
        box = tag("label", "Resource " + tag("select", options, id="map-resource")) + box
    return tag("div", box, class_="controls")


def _legend(placement: Placement, drawn: int) -> str:
    """What area, ring and colour mean."""
    ramp = "".join(tag("i", class_=f"s{k}") for k in range(1, SHADES + 1))
    keys = (
        '<span><i class="key-ring"></i>ring: capacity</span>'
        '<span><i class="key-disc s0"></i>disc: load, spare capacity (dual 0)</span>'
        f'<span><b class="ramp">{ramp}</b>dual, low to high</span>'
    )
    total = placement.instance.regions
    more = f" The {drawn:,} busiest of {total:,} regions are drawn." if drawn < total else ""
    note = (
        f"Lines lead from where requests come from ({CELL_DEG:.0f}° cells) to where they run: the "
        f"{MOST_ARCS} largest flows.{more} Land: Natural Earth."
    )
    return tag("p", keys, class_="legend") + tag("p", note, class_="muted small")
