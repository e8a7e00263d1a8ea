"""What `frontier`, `audit` and `explain` may be told beside a solve's settings."""

import enum
import math
from dataclasses import dataclass, field

from jaxplace.settings import check


NETWORK_MS = (75.0, 100.0, 150.0, 200.0, 300.0, 500.0)


class By(enum.Enum):
    """What the audit closes at a time."""

    region = "region"
    grid_zone = "grid_zone"
    country = "country"


@dataclass
class FrontierSettings:
    """Along which budgets the scenario is solved again, and what else is drawn beside the curve.

    At most one of `network_ms`, `budgets_ms` and `scale` may be given.

    Attributes:
        network_ms: finite budgets become so much for the network, plus the workload's shortest
            service time; without any list, [75,100,150,200,300,500] [ms].
        budgets_ms: every finite budget becomes this, service time included [ms].
        scale: every finite budget is multiplied by this [1].
        carbon_prices: the curve is drawn at each of these; none: at the policy's [USD/t CO2e].
        unlimited: draw the curve with capacities lifted as well.
        ladder: draw it with migration, egress, residency and capacity put in one by one.
        modelled: draw it with the latency model instead of the table, rtt = 56 + 0.014 km.
        regional_ms: a region this near to home, or in its country, counts as regional [ms].
    """

    network_ms: list[float] | None = None
    budgets_ms: list[float] | None = None
    scale: list[float] | None = None
    carbon_prices: list[float] = field(default_factory=list)
    unlimited: bool = False
    ladder: bool = False
    modelled: bool = False
    regional_ms: float = 50.0

    def __post_init__(self) -> None:
        lists = {n: getattr(self, n) for n in ("network_ms", "budgets_ms", "scale")}
        rules: dict[str, tuple[bool, str, object]] = {
            name: (_numbers(values, 1), "numbers above 0, at least one", values)
            for name, values in lists.items()
            if values is not None
        }
        given = [name for name, values in lists.items() if values is not None]
        rules["carbon_prices"] = (
            _numbers(self.carbon_prices, 0, zero=True),
            "numbers >= 0",
            self.carbon_prices,
        )
        near = self.regional_ms
        rules["regional_ms"] = (math.isfinite(near) and near >= 0, "a number >= 0 ms", near)
        if len(given) > 1:
            rules[given[1]] = (False, f"left out where `frontier.{given[0]}` is given", "both")
        check("frontier.", rules)

    @property
    def kind(self) -> str:
        """Which of the lists is meant."""
        named = [n for n in ("budgets_ms", "scale") if getattr(self, n) is not None]
        return named[0] if named else "network_ms"

    @property
    def points(self) -> list[float]:
        """The list's numbers, rising, each once."""
        return sorted(set(getattr(self, self.kind) or NETWORK_MS))


@dataclass
class AuditSettings:
    """What is closed in turn.

    Attributes:
        by: what is closed at a time.
        most: close only so many, those with the most units; null: all, >= 1.
    """

    by: By = By.region
    most: int | None = None

    def __post_init__(self) -> None:
        check("audit.", {"most": (self.most is None or self.most >= 1, ">= 1", self.most)})


def _numbers(values: list[float], least: int, *, zero: bool = False) -> bool:
    """Whether these are enough finite numbers of the right sign."""
    right = all(math.isfinite(v) and (v > 0 or (zero and v == 0)) for v in values)
    return right and len(values) >= least
