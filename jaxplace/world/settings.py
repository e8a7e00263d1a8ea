"""What a made scenario may be told: its size and its difficulty."""

import datetime
import enum
import math
from dataclasses import dataclass
from typing import TypeVar

from jaxplace.errors import InputError
from jaxplace.settings import check


_E = TypeVar("_E", bound=enum.Enum)


class Size(enum.Enum):
    """Rows of requests x regions, unless `requests` and `regions` say otherwise."""

    small = "small"  # 20,000 x 100
    medium = "medium"  # 200,000 x 400
    large = "large"  # 1,000,000 x 1,000
    fleet = "fleet"  # 10,000,000 x 4,000


class Tail(enum.Enum):
    """Spread of the calls within one session: log standard deviation 0.4 or 1.2."""

    light = "light"
    heavy = "heavy"


class Counts(enum.Enum):
    """Units per row: one, or some thousands (log-normal, median 2,000)."""

    one = "one"
    thousands = "thousands"


ROWS = {  # size -> (requests, regions, origins)
    Size.small: (20_000, 100, 200),
    Size.medium: (200_000, 400, 400),
    Size.large: (1_000_000, 1_000, 1_000),
    Size.fleet: (10_000_000, 4_000, 4_000),
}
MOST_REQUESTS, MOST_REGIONS, MOST_ORIGINS = 100_000_000, 4_338, 5_098
FIRST_HOUR = datetime.datetime(2022, 1, 1, tzinfo=datetime.UTC)
YEAR_HOURS = 8_759  # of the bundled carbon series


@dataclass
class GenerateSettings:
    """Size and difficulty of a made scenario (`jaxplace generate`).

    Attributes:
        size: small (20,000 requests x 100 regions, 200 origins), medium (200,000 x 400, 400),
            large (1,000,000 x 1,000, 1,000) or fleet (10,000,000 x 4,000, 4,000).
        requests: rows of `requests`, 1 to 100 million; with `classes`, the units in all. None: as
            `size` says [rows].
        regions: 1 to 4,338. None: as `size` says [regions].
        origins: cities that requests come from, 1 to 5,098. None: as `size` says [origins].
        seed: of every random choice, >= 0; the same seed gives the same bytes.
        overwrite: replace the scenario that is in the folder.
        start: first hour of `signals`, in 2022, UTC, such as 2022-07-01T12:00.
        hours: hours of `signals` and `demand`, >= 1, ending in 2022 [h].
        tightness: capacity over what the requests would use when shared out by the regions' sizes
            (slower hardware uses more), > 0; below 1 some cannot be placed [1].
        tail: light or heavy: the spread of the requests' sizes.
        counts: one or thousands: units per row.
        classes: None, or write that many rows only and share `requests` units between them.
        resources: 1 (gpu_s) or 2 (gpu_s and memory_gb) [resources].
        latency: latency budgets and the clients' own RTT.
        moves: a current region and state to move for most requests.
        egress: data that the answers carry, and its price.
        residency: the countries that some requests must stay in.
        hosting: workloads (models) that not every region hosts, with their service times.
        demand: an hourly factor per origin.
        minimal: required tables and columns only; switches the six features above off.
        anti_correlation: how far capacity lies where electricity is dear, 0 to 1 [1].
        unservable: share of requests whose latency budget no region meets, 0 to 1 [1].
        negative_prices: share of zone-hours that get a negative price, 0 to 1 [1].
        price_spikes: share of zone-hours whose price is 5 to 10 times as high, 0 to 1 [1].
        zero_capacity: share of regions without capacity, 0 to below 1 [1].
        local_grid: every region has a grid zone of its own: its zone's series times local noise.
        rtt_noise: log standard deviation of the noise on modelled RTTs, 0 to 1 [1].
        integer_ids: integers as ids of requests, origins and regions, instead of names.
    """

    size: Size = Size.small
    requests: int | None = None
    regions: int | None = None
    origins: int | None = None
    seed: int = 0
    overwrite: bool = False
    start: str = "2022-07-01T12:00"
    hours: int = 24
    tightness: float = 1.3
    tail: Tail = Tail.heavy
    counts: Counts = Counts.one
    classes: int | None = None
    resources: int = 1
    latency: bool = True
    moves: bool = True
    egress: bool = True
    residency: bool = True
    hosting: bool = True
    demand: bool = True
    minimal: bool = False
    anti_correlation: float = 0.0
    unservable: float = 0.0
    negative_prices: float = 0.02
    price_spikes: float = 0.02
    zero_capacity: float = 0.0
    local_grid: bool = False
    rtt_noise: float = 0.2
    integer_ids: bool = False

    def __post_init__(self) -> None:
        self.size, self.tail, self.counts = (
            _member(Size, "size", self.size),
            _member(Tail, "tail", self.tail),
            _member(Counts, "counts", self.counts),
        )
        start, share = self.first_hour(), "a share in [0, 1]"
        first = -1 if start is None else start
        rules: dict[str, tuple[bool, str, object]] = {
            name: (0 <= getattr(self, name) <= 1, share, getattr(self, name))
            for name in ("anti_correlation", "unservable", "negative_prices", "price_spikes")
        }
        rules["rtt_noise"] = (0 <= self.rtt_noise <= 1, "in [0, 1]", self.rtt_noise)
        zero = self.zero_capacity
        rules["zero_capacity"] = (0 <= zero < 1, "a share in [0, 1)", zero)
        finite = self.tightness > 0 and math.isfinite(self.tightness)
        rules["tightness"] = (finite, "a finite number above 0", self.tightness)
        rules["resources"] = (self.resources in (1, 2), "1 or 2", self.resources)
        rules["seed"] = (0 <= self.seed < 2**32, "an integer in [0, 2**32)", self.seed)
        rules["start"] = (start is not None, "a full hour of 2022, in UTC", repr(self.start))
        last = first >= 0 and 1 <= self.hours <= YEAR_HOURS - first
        rules["hours"] = (
            last or start is None,
            f"from 1 to {YEAR_HOURS - max(first, 0)} from that start on",
            self.hours,
        )
        for name, most in (
            ("requests", MOST_REQUESTS),
            ("regions", MOST_REGIONS),
            ("origins", MOST_ORIGINS),
            ("classes", self.rows()[0]),
        ):
            value = getattr(self, name)
            ok = value is None or 1 <= value <= most
            rules[name] = (ok, f"from 1 to {most:,}", value)
        if self.unservable and not self.has("latency"):
            rules["unservable"] = (
                False,
                "0 without latency budgets (minimal=true or latency=false)",
                self.unservable,
            )
        check("", rules)

    def rows(self) -> tuple[int, int, int]:
        """Requests, regions and origins, with the overrides."""
        usual = ROWS[self.size]
        given = (self.requests, self.regions, self.origins)
        n, m, o = (u if g is None else g for u, g in zip(usual, given, strict=True))
        return n, m, o

    def has(self, feature: str) -> bool:
        """Whether an optional feature (latency, moves, egress, ...) is part of the scenario."""
        return bool(getattr(self, feature)) and not self.minimal

    def first_hour(self) -> int | None:
        """Hours from the start of 2022 to `start`, or None if it is no full hour of that year."""
        try:
            start = datetime.datetime.fromisoformat(self.start)
        except ValueError:
            return None
        if start.tzinfo is None:
            start = start.replace(tzinfo=datetime.UTC)
        hours = (start - FIRST_HOUR) / datetime.timedelta(hours=1)
        return int(hours) if hours.is_integer() and 0 <= hours < YEAR_HOURS else None


def _member(kind: type[_E], name: str, value: object) -> _E:
    """The member of an enum by itself or by its name."""
    if isinstance(value, kind):
        return value
    names = [member.name for member in kind]
    if value not in names:
        raise InputError(f"`{name}` must be one of {', '.join(names)}. Got {value!r}")
    return kind[str(value)]
