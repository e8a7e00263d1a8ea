"""The comparison's table in words, the same on the console and on the page."""

from itertools import groupby

from jaxplace.compare.judge import Row
from jaxplace.report.words import number, percent, whole


DUST = 1e-9  # share of a capacity; what the certificate tolerates
COLUMNS = (
    "method",
    "verdict",
    "plan",
    "gap",
    "own bound",
    "fractional",
    "overload",
    "s",
    "rounding",
    "GB",
)
NOTE = (
    "plan: cost of whole units, certified feasible. gap: to the highest bound that any method's "
    "duals prove. own bound: proven by its own duals; in brackets, only claimed. fractional: its "
    "answer before the common rounding, and by how much that overloads a region. s: seconds until "
    "the plan was there, with those of the rounding."
)


def by_instance(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each instance, in order."""
    return [(name, list(own)) for name, own in groupby(rows, key=lambda row: row.instance)]


def heading(rows: list[Row]) -> str:
    """What the instance is."""
    first = rows[0]
    resources = f" x {first.resources} resources" if first.resources > 1 else ""
    return (
        f"{first.instance}: {whole(first.requests)} requests ({whole(first.units)} units) x "
        f"{whole(first.regions)} regions{resources}; {first.time_limit_s:g} s each"
    )


def ranked(rows: list[Row]) -> list[Row]:
    """The cheapest certified plan first; those without a plan last."""
    return sorted(rows, key=lambda row: (row.objective_usd is None, row.objective_usd or 0.0))


def cells(row: Row) -> tuple[str, ...]:
    """A row's cells, in the order of `COLUMNS`; empty where there is nothing to say."""

    def shown(value: float | None, digits: int = 6) -> str:
        return "" if value is None else number(value, digits)

    def share(value: float | None) -> str:
        return "" if value is None else percent(value)

    bound = shown(row.bound_usd, 7)
    if row.bound_usd is None and row.claimed_bound_usd is not None:
        bound = f"({number(row.claimed_bound_usd, 7)})"
    over = row.fraction_overload
    if over is not None and over < DUST:
        over = 0.0
    memory = None if not row.peak_rss_bytes else row.peak_rss_bytes / 1e9
    return (
        row.method,
        row.verdict.replace("_", " "),
        shown(row.objective_usd, 7),
        share(row.gap_to_best),
        bound,
        shown(row.fraction_usd, 7),
        share(over),
        shown(row.seconds, 3),
        shown(row.finish_s if row.fraction_usd is not None else None, 2),
        shown(memory, 2),
    )


def remarks(rows: list[Row]) -> list[str]:
    """What went wrong, or why there is nothing, a line each."""
    lines = []
    for row in rows:
        told = [*row.faults, *([row.message] if row.message else [])]
        lines += [f"{row.method}: {text}" for text in told]
    return lines
