"""Electricity prices and carbon by hour and grid zone."""

import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxplace.world import bundle
from jaxplace.world.settings import FIRST_HOUR, GenerateSettings


HOUR = datetime.timedelta(hours=1)
LEVEL_SIGMA = {"market": 0.0, "retail": 0.1, "proxy": 0.25}  # assumed error of a price level
MARGINAL_SIGMA, MARGINAL_TIE = 0.1, 0.2  # of the marginal series, and its tie to the average
LOCAL_SIGMA, LOCAL_MEMORY = 0.05, 0.9  # AR(1) of `local_grid`
LEAST_CARBON = 5.0  # g/kWh: no real zone is below it


def hours(settings: GenerateSettings) -> list[datetime.datetime]:
    """The scenario's hours, UTC."""
    first = FIRST_HOUR + (settings.first_hour() or 0) * HOUR
    return [first + k * HOUR for k in range(settings.hours)]


def signals(zones: list[str], parents: list[str], settings: GenerateSettings) -> pd.DataFrame:
    """The `signals` table: one row per hour and zone, hours outermost.

    The series are those of 2022 (a zone without one takes that of a donor, shifted by time zone)
    scaled to the zone's level of 2024, so that price and carbon keep their common weather.

    Args:
        zones: names of the grid zones.
        parents: the bundled zone that each of them lies in.
        settings: hours, shares of spikes and negative prices, seed.
    """
    rng = np.random.default_rng([settings.seed, 2])
    world = bundle.table("zones").set_index("grid_zone").loc[parents].reset_index()
    steps = (settings.first_hour() or 0) + np.arange(settings.hours)
    carbon = _shape("carbon_2022", world["carbon_donor"], world["carbon_shift_h"], steps)
    price = _shape("price_2022", world["price_donor"], world["price_shift_h"], steps)
    average = carbon * world["carbon_g_per_kwh"].to_numpy()
    own = rng.standard_normal(carbon.shape)
    anomaly = (carbon - carbon.mean(0)) / np.maximum(carbon.std(0), 1e-6)
    tied = MARGINAL_TIE * anomaly + np.sqrt(1 - MARGINAL_TIE**2) * own
    marginal = world["marginal_g_per_kwh"].to_numpy() * (1 + MARGINAL_SIGMA * tied)
    sigma = world["price_basis"].map(LEVEL_SIGMA).to_numpy(float)
    level = world["price_usd_per_mwh"].to_numpy() * np.exp(sigma * rng.standard_normal(len(sigma)))
    price = price * level
    if settings.local_grid:
        average = average * _local_noise(rng, average.shape)
        price = price * _local_noise(rng, price.shape)
    price = _spikes(price, settings, rng)
    return pd.DataFrame(
        {
            "time_utc": np.repeat(pd.DatetimeIndex(hours(settings)).as_unit("ms"), len(zones)),
            "grid_zone": np.tile(np.asarray(zones, dtype=object), settings.hours),
            "price_usd_per_mwh": np.round(price, 2).ravel(),
            "carbon_g_per_kwh": np.round(np.maximum(average, LEAST_CARBON), 1).ravel(),
            "carbon_marginal_g_per_kwh": np.round(np.maximum(marginal, 0.0), 1).ravel(),
        }
    )


def price_level(parents: list[str]) -> NDArray[np.float64]:
    """Mean price of bundled zones [USD/MWh]."""
    world = bundle.table("zones").set_index("grid_zone")
    return world.loc[parents, "price_usd_per_mwh"].to_numpy(np.float64)


def _shape(
    name: str, donors: pd.Series, shifts: pd.Series, steps: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Hourly values of the donors over their yearly mean, at each zone's own hours [h, z]."""
    year = bundle.table(name)
    values = year.to_numpy(np.float64)
    values = values / values.mean(0)
    rows = (steps[:, None] - shifts.to_numpy(np.int64)) % len(values)
    return values[rows, year.columns.get_indexer(pd.Index(donors))]


def _local_noise(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Exp of an AR(1) of standard deviation `LOCAL_SIGMA`, hours down [h, z]."""
    noise = rng.standard_normal(shape)
    for hour in range(1, len(noise)):
        fresh = np.sqrt(1 - LOCAL_MEMORY**2) * noise[hour]
        noise[hour] = LOCAL_MEMORY * noise[hour - 1] + fresh
    return np.exp(LOCAL_SIGMA * noise)


def _spikes(
    price: NDArray[np.float64], settings: GenerateSettings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Prices with the asked share of spikes and of negative zone-hours."""
    draw = rng.random(price.shape)
    high = rng.uniform(5, 10, price.shape)
    low = -rng.uniform(1, 60, price.shape)
    price = np.where(draw > 1 - settings.price_spikes, price * high, price)
    return np.where(draw < settings.negative_prices, low, price)
