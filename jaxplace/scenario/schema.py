"""The tables of CONTRACT section 2, declared once, with pandera.

Every other module asks this one which columns a table has, of which kind, and within which range.
pandera is imported on first use, because `import jaxplace` should not pay for it.

A column's `metadata["kind"]` says how it is read:

| kind | is | kept as |
| --- | --- | --- |
| `key` | an id that differs from row to row | int64, or Arrow strings |
| `id` | an id that many rows share | categorical |
| `text` | the same, but never an integer | categorical |
| `number` | a real number | float64 |
| `count` | whole units | int64 |
| `time` | an hour | datetime64, UTC |

A table's `metadata["key"]` names the columns that together are unique.
"""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np


if TYPE_CHECKING:
    import pandera.pandas as pa


REQUIRED = ("requests", "regions", "origins", "latency", "signals")
OPTIONAL = ("demand", "transfer", "residency", "current", "hosting")
TABLES = REQUIRED + OPTIONAL
NEVER_EMPTY = ("requests", "regions", "origins", "signals")
MAX_COUNT = 2**53  # beyond it float64 no longer tells two counts apart


@functools.cache
def schemas() -> dict[str, "pa.DataFrameSchema"]:
    """The schema of every table, by name."""
    return {name: _table(name, *declared) for name, declared in _declarations().items()}


def columns(name: str) -> dict[str, "pa.Column"]:
    """The columns of a table by name; `use_` and `capacity_` columns are under their pattern."""
    return dict(schemas()[name].columns)


def column_of(name: str, label: str) -> "pa.Column | None":
    """The declaration that a table's column falls under, or None for an unknown column."""
    declared = columns(name)
    if label in declared and not declared[label].regex:
        return declared[label]
    for pattern, column in declared.items():
        if column.regex and label.startswith(prefix(pattern)) and label != prefix(pattern):
            return column
    return None


def prefix(pattern: str) -> str:
    """`use_` of `use_.+`."""
    return pattern.removesuffix(".+")


def _table(name: str, key: list[str], declared: dict[str, "pa.Column"]) -> "pa.DataFrameSchema":
    import pandera.pandas as pa

    return pa.DataFrameSchema(declared, name=name, metadata={"key": key})


def _column(kind: str, *checks: "pa.Check", **options: Any) -> "pa.Column":
    """A required column without nulls, unless `options` say otherwise."""
    import pandera.pandas as pa

    dtype = {"number": float, "count": int}.get(kind)
    return pa.Column(dtype, list(checks), metadata={"kind": kind}, **options)


def _declarations() -> dict[str, tuple[list[str], dict[str, "pa.Column"]]]:
    """(key, columns) of every table.  A check's `error` ends the sentence "3 rows ..."."""
    import pandera.pandas as pa

    finite = pa.Check(np.isfinite, error="must be finite")
    at_least_0 = pa.Check.ge(0, error="must be >= 0")
    at_least_1 = pa.Check.ge(1, error="must be >= 1")
    above_0 = pa.Check.gt(0, error="must be > 0")
    amount = (finite, at_least_0)
    whole = pa.Check(lambda s: s == np.floor(s), error="must be whole numbers")
    few = pa.Check.le(MAX_COUNT, error="must be at most 2**53")
    not_minus_inf = pa.Check.gt(-np.inf, error="must not be -inf")
    alpha_2 = pa.Check.str_matches("^[A-Z]{2}$", error="must be ISO 3166-1 alpha-2 (two capitals)")
    latitude = pa.Check.in_range(-90, 90, error="must lie in [-90, 90] degrees")
    longitude = pa.Check.in_range(-180, 180, error="must lie in [-180, 180] degrees")
    optional = {"required": False}
    default = {"required": False, "nullable": True}  # a null is the same as no column
    place = {
        "latitude": _column("number", latitude),
        "longitude": _column("number", longitude),
        "country": _column("text", alpha_2),
        "network_zone": _column("id", **optional),
    }
    return {
        "requests": (
            ["request_id"],
            {
                "request_id": _column("key"),
                "origin": _column("id"),
                "energy_kwh": _column("number", *amount),
                "use_.+": _column("number", *amount, regex=True),
                "count": _column("count", finite, whole, at_least_1, few, **optional),
                "workload": _column("id", **default),
                "latency_budget_ms": _column("number", not_minus_inf, **default),
                "client_rtt_ms": _column("number", *amount, **default),
                "egress_gb": _column("number", *amount, **optional),
                "state_gb": _column("number", *amount, **optional),
                "current_region": _column("id", **default),
                "residency": _column("id", **default),
                "unplaced_usd": _column("number", *amount, **default),
            },
        ),
        "regions": (
            ["region"],
            {
                "region": _column("id"),
                **place,
                "grid_zone": _column("id"),
                "pue": _column("number", finite, at_least_1),
                "capacity_.+": _column("number", *amount, regex=True),
            },
        ),
        "origins": (["origin"], {"origin": _column("id"), **place}),
        "latency": (
            ["origin", "region"],
            {
                "origin": _column("id"),
                "region": _column("id"),
                "rtt_ms": _column("number", *amount),
            },
        ),
        "signals": (
            ["time_utc", "grid_zone"],
            {
                "time_utc": _column("time"),
                "grid_zone": _column("id"),
                "price_usd_per_mwh": _column("number", finite),
                "carbon_g_per_kwh": _column("number", *amount),
            },
        ),
        "demand": (
            ["time_utc", "origin", "workload"],
            {
                "time_utc": _column("time"),
                "origin": _column("id"),
                "workload": _column("id", **optional),
                "factor": _column("number", *amount),
            },
        ),
        "transfer": (
            ["from_zone", "to_zone"],
            {
                "from_zone": _column("id"),
                "to_zone": _column("id"),
                "usd_per_gb": _column("number", *amount),
            },
        ),
        "residency": (
            ["residency", "country"],
            {"residency": _column("id"), "country": _column("text", alpha_2)},
        ),
        "current": (
            [],
            {
                "request_id": _column("key", nullable=True),
                "region": _column("id", nullable=True),
                "count": _column("count", finite, whole, at_least_0, few),
            },
        ),
        "hosting": (
            ["workload", "region"],
            {
                "workload": _column("id"),
                "region": _column("id"),
                "energy_factor": _column("number", finite, above_0, **optional),
                "use_factor": _column("number", finite, above_0, **optional),
                "service_ms": _column("number", *amount, **optional),
            },
        ),
    }
