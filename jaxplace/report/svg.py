"""Small pieces of SVG and HTML; everything that comes from a table passes through `text`."""

import html
from collections.abc import Iterable


def text(value: object) -> str:
    """`value` made harmless between tags and inside quoted attributes."""
    return html.escape(str(value), quote=True)


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """An element; `content` is markup already, attribute values are escaped here.

    A trailing underscore is dropped from an attribute's name, other underscores become hyphens,
    and None leaves the attribute out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{content}</{name}>"


def coordinate(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def points(xs: Iterable[float], ys: Iterable[float]) -> str:
    """Coordinates as `x,y` pairs."""
    return " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in zip(xs, ys, strict=True))


def picture(content: str, *, width: float, height: float, title: str, name: str) -> str:
    """An image that a screen reader announces by its `title`."""
    return tag(
        "svg",
        tag("title", text(title), id=f"{name}-title") + content,
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        role="img",
        aria_labelledby=f"{name}-title",
        class_="figure",
    )
