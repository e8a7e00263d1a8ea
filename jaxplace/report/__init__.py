"""`report.html`: one plan on one page, for people, with nothing fetched from anywhere.

Pictures are SVG drawn here, styles and the few lines of script (sort, filter, what the map shows)
are inlined; the page works without the script.  What is drawn is capped, so the page stays under
10 MB for thousands of regions.
"""

from jaxplace.placement import Placement
from jaxplace.report import charts, tables, world
from jaxplace.report.page import bullets, header, page, section, tile, tiles
from jaxplace.report.svg import tag, text
from jaxplace.report.tables import timings
from jaxplace.report.words import BINDING, Grade, grade, number, percent, savings, statement, whole


__all__ = ["TIMINGS_SLOT", "render", "savings", "statement", "timings"]

TIMINGS_SLOT = "<!-- timings -->"  # filled in last: writing the tables is one of the stages


def render(placement: Placement) -> str:
    """The page, with `TIMINGS_SLOT` where `timings(placement)` belongs."""
    hour = placement.instance.hour
    title = "Placement" + (f" for {hour}" if hour else "")
    main = (
        _head(placement, title)
        + tiles(*_tiles(placement))
        + section("proof", "What is proven", _proof(placement))
        + section("saved", "Saved", tables.comparison(placement))
        + _map(placement)
        + section("cost", "Cost", charts.cost_bars(placement))
        + section(
            "regions", "Regions", _about_duals() + _binding(placement) + tables.regions(placement)
        )
        + section(
            "solve",
            "How the solve went",
            charts.convergence(placement) + f"<h3>Timings</h3>{TIMINGS_SLOT}",
        )
        + section("input", "What it was told", _input(placement))
    )
    return page(title, main, start="proof")


def _head(placement: Placement, title: str) -> str:
    """Title and the verdict beside it."""
    proof, instance = placement.certificate, placement.instance
    mark = grade(placement)
    verdict = {
        Grade.good: f"Feasible, gap {percent(proof.gap)}",
        Grade.warn: f"Feasible, gap target missed (gap {percent(proof.gap)})",
        Grade.bad: "Not feasible",
    }[mark]
    size = (
        f"{whole(len(instance.request_id))} requests, {whole(proof.units)} units, "
        f"{whole(instance.regions)} regions; capacities of {', '.join(instance.resources)}"
    )
    return header(title, (mark.value, verdict), size)


def _tiles(placement: Placement) -> list[str]:
    """The headline figures."""
    proof = placement.certificate
    found = [
        tile(
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
        found.append(tile(name, number(saved.usd, 4), "USD", note))
    placed = proof.placed / proof.units if proof.units else 1.0
    beyond = proof.unplaced - proof.unservable
    left = f"{whole(proof.unplaced)} unplaced"
    if proof.unplaced:
        left += (
            f" ({whole(beyond)} for lack of room or by cost, {whole(proof.unservable)} unservable)"
        )
    found.append(tile("Placed", percent(placed, 4), "", f"{whole(proof.placed)} units; {left}"))
    found.append(
        tile(
            "Energy",
            number(proof.kwh, 4),
            "kWh",
            f"{number(proof.carbon_kg, 4)} kg CO₂e; {whole(proof.moves)} moves",
        )
    )
    return found


def _difference(value: float, unit: str) -> str:
    """A saving with its sign in words."""
    return f"{number(abs(value), 3)} {unit} {'less' if value >= 0 else 'more'}"


def _proof(placement: Placement) -> str:
    """The certificate in words, and why the loop stopped."""
    stopped = f"The solve stopped because: {placement.status.value}."
    return tag("p", text(statement(placement)), class_="lead") + tag(
        "p", text(stopped), class_="muted"
    )


def _map(placement: Placement) -> str:
    """The map, where there are places."""
    image = world.world_map(placement)
    return section("map", "Where it runs", image) if image else ""


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
        body += "<h3>Assumed, not measured</h3>" + bullets(assumed, flagged=True)
    if instance.notes:
        body += "<h3>Notes</h3>" + bullets(instance.notes)
    run = {"seed": placement.seed, "device": placement.device, **placement.versions}
    return body + "<h3>Run</h3>" + tables.pairs(run)
