"""`report.html` of a comparison: tables and pictures on one page, with nothing fetched."""

from importlib import resources

from jaxplace import runtime
from jaxplace.compare import plots, words
from jaxplace.compare.judge import Row
from jaxplace.report.svg import tag, text


WIDE = ".figure{max-width:900px}td,th{white-space:normal}"


def render(rows: list[Row]) -> str:
    """The page."""
    style = resources.files("jaxplace.report").joinpath("style.css").read_text("utf-8") + WIDE
    body = tag("header", tag("h1", "Methods on the same instances") + tag("p", text(words.NOTE)))
    for k, (_, own) in enumerate(words.by_instance(rows)):
        content = _table(own) + plots.time_to_gap(own) + _remarks(own)
        body += _section(f"instance-{k}", words.heading(own), content)
    for name, title, image in (
        ("profile", "Performance profile", plots.profile(rows)),
        ("growth", "Growth", plots.growth(rows)),
    ):
        body += _section(name, title, image) if image else ""
    body += _section("settings", "Settings and versions", _settings(rows))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Comparison</title><style>{style}</style></head><body>"
        f'<main id="main">{body}</main></body></html>\n'
    )


def _section(name: str, title: str, content: str) -> str:
    """A part of the page under its own heading."""
    head = tag("h2", text(title), id=f"{name}-head")
    return tag("section", head + content, id=name, aria_labelledby=f"{name}-head")


def _table(rows: list[Row]) -> str:
    """The rows, the cheapest plan first."""
    head = tag("tr", "".join(tag("th", text(name), scope="col") for name in words.COLUMNS))
    lines = ""
    for row in words.ranked(rows):
        first, *rest = words.cells(row)
        cells = tag("th", text(first), scope="row") + "".join(tag("td", text(v)) for v in rest)
        lines += tag("tr", cells)
    return tag("div", tag("table", tag("thead", head) + tag("tbody", lines)), class_="scroll")


def _remarks(rows: list[Row]) -> str:
    """What went wrong, or why there is nothing."""
    items = "".join(tag("li", text(line)) for line in words.remarks(rows))
    return tag("h3", "Remarks") + tag("ul", items) if items else ""


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
