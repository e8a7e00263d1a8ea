"""The frame of every page: head, styles, script, sections, headline figures; nothing is fetched."""

from importlib import resources

from jaxplace.report.svg import tag, text


def page(title: str, main: str, *, start: str, style: str = "", live: bool = True) -> str:
    """A whole page.

    Args:
        title: shown by the browser.
        main: markup.
        start: id of the section that "skip to the results" leads to.
        style: the page's own rules, after those of all pages.
        live: whether it has tables that sort and filter, or a map that can be switched.
    """
    common = _asset("style.css")
    script = f"<script>{_asset('script.js')}</script>" if live else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{text(title)}</title>'
        f"<style>{common}{style}</style></head><body>"
        f'<a class="skip" href="#{text(start)}">Skip to the results</a>'
        f'<main id="main">{main}</main>{script}</body></html>\n'
    )


def _asset(name: str) -> str:
    """A file of this package as text."""
    return resources.files("jaxplace.report").joinpath(name).read_text("utf-8")


def header(title: str, badge: tuple[str, str], below: str) -> str:
    """The page's title, a verdict (its class and its words), and a line below."""
    kind, words = badge
    mark = tag("span", text(words), class_=f"badge {kind}")
    return tag("header", tag("h1", text(title)) + mark + tag("p", text(below), class_="muted"))


def section(name: str, title: str, content: str) -> str:
    """A part of the page under its own heading."""
    head = tag("h2", text(title), id=f"{name}-head")
    return tag("section", head + content, id=name, aria_labelledby=f"{name}-head")


def tiles(*items: str) -> str:
    """Headline figures side by side."""
    return tag("div", "".join(items), class_="tiles")


def tile(name: str, value: str, unit: str, note: str) -> str:
    """One headline figure."""
    figure = tag("strong", f"{value} <small>{unit}</small>" if unit else value)
    return tag("div", tag("h3", text(name)) + figure + tag("p", text(note)), class_="tile")


def bullets(items: tuple[str, ...], *, flagged: bool = False) -> str:
    """A list of sentences, or "" for none."""
    rows = "".join(tag("li", text(item)) for item in items)
    return tag("ul", rows, class_="flagged" if flagged else None) if items else ""
