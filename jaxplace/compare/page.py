"""`report.html` of a comparison: tables and pictures on one page, with nothing fetched."""

from jaxplace import runtime
from jaxplace.compare import plots, words
from jaxplace.compare.judge import Row
from jaxplace.report.grid import scroll
from jaxplace.report.page import bullets, page, section
from jaxplace.report.svg import tag, text


WIDE = ".figure{max-width:900px}td,th{white-space:normal}"


def render(rows: list[Row]) -> str:
    """The page."""
    body = tag("header", tag("h1", "Methods on the same instances") + tag("p", text(words.NOTE)))
    for k, (_, own) in enumerate(words.by_instance(rows)):
        content = _table(own) + plots.time_to_gap(own) + _remarks(own)
        body += section(f"instance-{k}", words.heading(own), content)
    for name, title, image in (
        ("profile", "Performance profile", plots.profile(rows)),
        ("growth", "Growth", plots.growth(rows)),
    ):
        body += section(name, title, image) if image else ""
    body += section("settings", "Settings and versions", _settings(rows))
    return page("Comparison", body, start="instance-0", style=WIDE, live=False)


def _table(rows: list[Row]) -> str:
    """The rows, the cheapest plan first."""
    head = tag("tr", "".join(tag("th", text(name), scope="col") for name in words.COLUMNS))
    lines = ""
    for row in words.ranked(rows):
        first, *rest = words.cells(row)
        cells = tag("th", text(first), scope="row") + "".join(tag("td", text(v)) for v in rest)
        lines += tag("tr", cells)
    return scroll(tag("table", tag("thead", head) + tag("tbody", lines)), "Methods")


def _remarks(rows: list[Row]) -> str:
    """What went wrong, or why there is nothing."""
    items = bullets(tuple(words.remarks(rows)))
    return tag("h3", "Remarks") + items if items else ""


def _settings(rows: list[Row]) -> str:
    """Each method's settings and versions, once."""
    seen: dict[str, str] = {}
    for row in rows:
        told = {**row.settings, **row.versions}
        if told:
            seen[row.method] = ", ".join(f"{k} {v}" for k, v in told.items())
    seen["seed"] = ", ".join(sorted({str(row.seed) for row in rows}))
    seen["jaxplace and what it stands on"] = ", ".join(
        f"{k} {v}" for k, v in runtime.versions().items()
    )
    items = "".join(tag("li", tag("b", text(k)) + text(f": {v}")) for k, v in seen.items())
    return tag("ul", items)
