"""The bundled tables of `data/`, read once.  Sources and licences: `data/README.md`."""

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd
from numpy.typing import NDArray


SERVICES = ("m-small", "m-mid", "m-large", "deepseek-r1")  # of the ServeGen clients
LEVELS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)


@dataclass(frozen=True, eq=False)
class Clients:
    """Callers of the measured text services (ServeGen).

    Attributes:
        service: [c] index into `SERVICES`.
        rate: [c] calls over the trace; heavy-headed.
        tokens_in: [c, 16] quantiles at `LEVELS` of a call's prompt [tokens].
        tokens_out: [c, 16] quantiles of its answer [tokens].
    """

    service: NDArray[np.int64]
    rate: NDArray[np.float64]
    tokens_in: NDArray[np.float32]
    tokens_out: NDArray[np.float32]


@functools.cache
def table(name: str) -> pd.DataFrame:
    """One bundled table; do not change it in place."""
    with resources.as_file(resources.files("jaxplace.world") / "data" / f"{name}.parquet") as path:
        return pd.read_parquet(path)


@functools.cache
def clients() -> Clients:
    """The clients with token quantiles, as arrays."""
    frame = table("clients")

    def quantiles(side: str) -> NDArray[np.float32]:
        inner = frame[[f"{side}_q{level:g}" for level in LEVELS[1:-1]]].to_numpy(np.float32)
        # the ends are cut at the measured 1 % and 99.9 %: nothing is extrapolated
        return np.column_stack([inner[:, :1], inner, inner[:, -1:]])

    return Clients(
        service=frame["model"].map({s: i for i, s in enumerate(SERVICES)}).to_numpy(np.int64),
        rate=frame["rate"].to_numpy(np.float64),
        tokens_in=quantiles("in"),
        tokens_out=quantiles("out"),
    )


@functools.cache
def day_profile() -> NDArray[np.float64]:
    """[24] rate by local hour of day over its mean."""
    return table("day_profile")["factor"].to_numpy(np.float64)


def anchors() -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """The measured regions (place, latitude, longitude) and the RTT between them [a, a] [ms]."""
    places = table("places")
    return places[places["kind"] == "anchor"], table("anchor_rtt").to_numpy(np.float64) / 10


def at_local_hour(utc_offset_h: NDArray[np.float64], utc_hour: int) -> NDArray[np.float64]:
    """Demand at places by their local hour, over its daily mean [places]."""
    local = np.floor(utc_hour + utc_offset_h).astype(int) % 24
    return day_profile()[local]
