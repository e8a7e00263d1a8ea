"""What the hourly loop may be told beside what a solve is told."""

import math
from dataclasses import dataclass

from jaxplace.settings import check


@dataclass
class ReplanSettings:
    """How the hourly loop treats its inputs and its state folder.

    Attributes:
        max_signal_age_h: an hour that `signals` lacks for a zone takes that zone's newest older
            row of at most this age, >= 0 [h].
        keep_hours: plans of this many newest hours are kept, >= 1; `history.parquet` keeps all.
        metrics: file for Prometheus' textfile collector; null: `metrics.prom` in the state folder.
        compare: whether `from=... hours=...` also plans every hour by other rules, for the page.
    """

    max_signal_age_h: float = 3.0
    keep_hours: int = 168
    metrics: str | None = None
    compare: bool = True

    def __post_init__(self) -> None:
        age = self.max_signal_age_h
        check(
            "replan.",
            {
                "max_signal_age_h": (age >= 0 and not math.isnan(age), ">= 0 h", age),
                "keep_hours": (self.keep_hours >= 1, ">= 1 h", self.keep_hours),
            },
        )
