"""`report.html`: one plan on one page, for people, with nothing fetched from anywhere.

Pictures are SVG drawn here, styles and the few lines of script (sort, filter, what the map shows)
are inlined; the page works without the script.  What is drawn is capped, so the page stays under
10 MB for thousands of regions.
"""

from importlib import resources

from jaxplace.placement import Placement
from jaxplace.report import charts, tables, world
from jaxplace.report.svg import tag, text
from jaxplace.report.tables import timings
from jaxplace.report.words import BINDING, Grade, grade, number, percent, savings, statement, whole


__all__ = ["TIMINGS_SLOT", "render", "savings", "statement", "timings"]

TIMINGS_SLOT = "<!-- timings -->"  # filled in last: writing the tables is one of the stages


def render(placement: Placement) -> str:
    """The page, with `TIMINGS_SLOT` where `timings(placement)` belongs."""
    style, script = _asset("style.css"), _asset("script.js")
    hour = placement.instance.hour
    title = "Placement" + (f" for {hour}" if hour else "")
    main = (
        _head(placement, title)
        + tag("div", "".join(_tiles(placement)), class_="tiles")
        + _section("proof", "What is proven", _proof(placement))
        + _section("saved", "Saved", tables.comparison(placement))
        + _map(placement)
        + _section("cost", "Cost", charts.cost_bars(placement))
        + _section(
            "regions", "Regions", _about_duals() + _binding(placement) + tables.regions(placement)
        )
        + _section(
            "solve",
            "How the solve went",
            charts.convergence(placement) + f"<h3>Timings</h3>{TIMINGS_SLOT}",
        )
        + _section("input", "What it was told", _input(placement))
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(title)}</title><style>{style}</style></head><body>"
        '<a class="skip" href="#proof">Skip to the results</a>'
        f'<main id="main">{main}</main><script>{script}</script></body></html>\n'
    )


def _asset(name: str) -> str:
    """A file of this package as text."""
    return resources.files("jaxplace.report").joinpath(name).read_text("utf-8")


def _section(name: str, title: str, content: str) -> str:
    """A part of the page under its own heading."""
    head = tag("h2", title, id=f"{name}-head")
    return tag("section", head + content, id=name, aria_labelledby=f"{name}-head")


def _head(placement: Placement, title: str) -> str:
    """Title and the verdict beside it."""
    proof, instance = placement.certificate, placement.instance
    mark = grade(placement)
    verdict = {
        Grade.good: f"Feasible, gap {percent(proof.gap)}",
        Grade.warn: f"Feasible, gap target missed (gap {percent(proof.gap)})",
        Grade.bad: "Not feasible",
    }[mark]
    badge = tag("span", verdict, class_=f"badge {mark.value}")
    # names of resources are columns' names, so they are escaped like everything else
    size = (
        f"{whole(len(instance.request_id))} requests, {whole(proof.units)} units, "
        f"{whole(instance.regions)} regions; capacities of {', '.join(instance.resources)}"
    )
    return tag("header", tag("h1", text(title)) + badge + tag("p", text(size), class_="muted"))


def _tiles(placement: Placement) -> list[str]:
    """The headline figures."""
    proof = placement.certificate
    tiles = [
        _tile(
            "Objective",
            number(proof.objective_usd, 5),
            "USD",
            f"at least {number(proof.lower_bound_usd, 5)} for any plan",
        )
    ]
    for saved in savings(placement)[:2]:
        note = f"{percent(saved.share)}; {_difference(saved.kwh, 'kWh')}, "
        note += _difference(saved.carbon_kg, "kg CO₂e")
        name = f"Saved against {saved.name}"
        tiles.append(_tile(name, number(saved.usd, 4), "USD", note))
    placed = proof.placed / proof.units if proof.units else 1.0
    beyond = proof.unplaced - proof.unservable
    left = f"{whole(proof.unplaced)} unplaced"
    if proof.unplaced:
        left += (
            f" ({whole(beyond)} for lack of room or by cost, {whole(proof.unservable)} unservable)"
        )
    tiles.append(_tile("Placed", percent(placed, 4), "", f"{whole(proof.placed)} units; {left}"))
    tiles.append(
        _tile(
            "Energy",
            number(proof.kwh, 4),
            "kWh",
            f"{number(proof.carbon_kg, 4)} kg CO₂e; {whole(proof.moves)} moves",
        )
    )
    return tiles


def _difference(value: float, unit: str) -> str:
    """A saving with its sign in words."""
    return f"{number(abs(value), 3)} {unit} {'less' if value >= 0 else 'more'}"


def _tile(name: str, value: str, unit: str, note: str) -> str:
    """One headline figure."""
    figure = tag("strong", f"{value} <small>{unit}</small>" if unit else value)
    return tag("div", tag("h3", text(name)) + figure + tag("p", text(note)), class_="tile")


def _proof(placement: Placement) -> str:
    """The certificate in words, and why the loop stopped."""
    stopped = f"The solve stopped because: {placement.status.value}."
    return tag("p", text(statement(placement)), class_="lead") + tag(
        "p", text(stopped), class_="muted"
    )


def _map(placement: Placement) -> str:
    """The map, where there are places."""
    image = world.world_map(placement)
    return _section("map", "Where it runs", image) if image else ""


def _about_duals() -> str:
    """What a dual is, in a sentence."""
    return tag(
        "p",
        "A dual is what one more unit of that capacity would save, in USD; it is 0 "
        "where there is room to spare.",
        class_="muted",
    )


def _binding(placement: Placement) -> str:
    """Where capacity binds, if anywhere."""
    table = tables.binding(placement)
    return tag("h3", BINDING) + table + tag("h3", "All regions") if table else ""


def _input(placement: Placement) -> str:
    """Policy, assumptions, notes and the machine."""
    instance = placement.instance
    body = "<h3>Policy</h3>" + tables.policy(placement)
    assumed = instance.places.assumptions if instance.places else ()
    if assumed:
        items = "".join(tag("li", text(a)) for a in assumed)
        body += "<h3>Assumed, not measured</h3>" + tag("ul", items, class_="flagged")
    if instance.notes:
        body += "<h3>Notes</h3>" + tag("ul", "".join(tag("li", text(n)) for n in instance.notes))
    run = {"seed": placement.seed, "device": placement.device, **placement.versions}
    return body + "<h3>Run</h3>" + tables.pairs(run)
