"""The part of `build_world.py` that deals with grids: levels, donors and hourly shapes per zone."""

import pathlib

import numpy as np
import pandas as pd
from grid_points import EUROPEAN_MARKETS, HOURLY_ALIAS, MARKETS, NO_DONOR, US_MARKETS

from jaxplace.world.anchors import great_circle_km


LEVEL_YEAR = 2024  # of zone means and price levels


def csv(path: pathlib.Path) -> pd.DataFrame:
    """A CSV in which "NA" is Namibia (or North America), not a missing value."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def zone_table(data: pathlib.Path, places: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Levels and donors of every grid zone in use, and the hourly carbon series they need."""
    yearly = csv(data / "carbon-annual-open" / "em_zone_yearly_2021_2025.csv")
    means = yearly[yearly["year"] == LEVEL_YEAR].set_index("zone")["ci_g_per_kwh"]
    hourly = pd.read_parquet(
        data / "carbon-hourly-em-123zones-2022" / "ci_lca_g_per_kwh_2022.parquet"
    )
    zones = (
        places.groupby("grid_zone", sort=True)
        .agg(
            carbon_zone=("carbon_zone", "first"),
            country=("country", "first"),
            admin1=("admin1", "first"),
            latitude=("latitude", "mean"),
            longitude=("longitude", "mean"),
            utc_offset_h=("utc_offset_h", "median"),
        )
        .reset_index()
    )
    zones["carbon_g_per_kwh"] = zones["carbon_zone"].map(means).astype(float)
    zones["carbon_known"] = zones["carbon_g_per_kwh"].notna()
    zones["hourly"] = [HOURLY_ALIAS.get(z, z) for z in zones["carbon_zone"]]
    own = zones["hourly"].isin(hourly.columns)
    donors = zones[own & ~zones["hourly"].isin(NO_DONOR)].drop_duplicates("hourly")
    for index in zones.index:
        _fill_carbon(zones, index, donors, bool(own[index]))
    zones["marginal_g_per_kwh"] = _marginal(data, zones)
    shapes = hourly[sorted(zones["carbon_donor"].unique())].round().astype(np.uint16)
    return _price_levels(data, zones), shapes


def _fill_carbon(zones: pd.DataFrame, index: int, donors: pd.DataFrame, own: bool) -> None:
    """The zone's carbon level where none is known, and the donor of its shape."""
    row = zones.loc[index]
    km = great_circle_km(row["latitude"], row["longitude"], donors["latitude"], donors["longitude"])
    if not row["carbon_known"]:  # the nearest zone's level: a guess, flagged
        zones.loc[index, "carbon_g_per_kwh"] = donors["carbon_g_per_kwh"].to_numpy()[np.argmin(km)]
    level = zones.loc[index, "carbon_g_per_kwh"]
    if own:
        donor, shift = row["hourly"], 0.0
    else:
        same = (donors["country"] == row["country"]).to_numpy()
        unlike = np.abs(np.log(donors["carbon_g_per_kwh"].to_numpy() / level))
        score = km / 5000 + unlike - 10 * same
        best = donors.iloc[int(np.argmin(score))]
        donor, shift = best["hourly"], best["utc_offset_h"] - row["utc_offset_h"]
    zones.loc[index, "carbon_donor"] = donor
    zones.loc[index, "carbon_shift_h"] = round(shift)
    zones.loc[index, "carbon_own"] = own


def _marginal(data: pathlib.Path, zones: pd.DataFrame) -> pd.Series:
    """IFI operating margin of the zone's country [g/kWh]; the world's median where it has none."""
    ifi = csv(data / "carbon-annual-open" / "ifi_marginal_2021.csv").dropna(subset=["iso2"])
    margin = ifi.drop_duplicates("iso2").set_index("iso2")["operating_margin_g_per_kwh"]
    margin["HK"] = margin["CN"]
    return zones["country"].map(margin).fillna(float(margin.median())).astype(float)


def _price_levels(data: pathlib.Path, zones: pd.DataFrame) -> pd.DataFrame:
    """Adds each zone's mean price, donor market, shift and the basis of the level."""
    hourly = pd.read_parquet(
        data / "price-hourly-23zones-2020-2024" / "price_hourly_usd_mwh.parquet"
    )
    means = hourly.loc[str(LEVEL_YEAR)].mean()
    eia = csv(data / "price-eia-us-states" / "eia_state_prices.csv")
    state = eia[eia["year"] == LEVEL_YEAR].set_index("state")["usd_per_kwh"]
    retail = csv(data / "price-eurostat-industrial" / "eurostat_industrial_ex_tax.csv")
    countries = csv(data / "geonames-cities15000" / "countries.csv")
    retail["iso2"] = retail["iso3"].map(dict(zip(countries["iso3"], countries["iso2"])))  # noqa: B905
    europe_retail = retail.set_index("iso3")["usd_per_kwh"]
    ratio = retail.dropna(subset=["iso2"]).set_index("iso2")["usd_per_kwh"]
    ratio = ratio / europe_retail[list(EUROPEAN_MARKETS.values())].mean()
    europe, us = means[list(EUROPEAN_MARKETS)].mean(), means[list(US_MARKETS)].mean()
    trades = {z: m for m, (zs, *_) in MARKETS.items() for z in zs}
    names = list(MARKETS)
    spots = np.array([MARKETS[m][1:] for m in names])
    rows = []
    for _, row in zones.iterrows():
        km = great_circle_km(row["latitude"], row["longitude"], spots[:, 0], spots[:, 1])
        near = names[int(np.argmin(km))]
        shift = round(MARKETS[near][3] - row["utc_offset_h"])
        if row["carbon_zone"] in trades:
            market = trades[row["carbon_zone"]]
            rows.append((means[market], market, 0, "market"))
        elif row["country"] == "US" and row["admin1"] in state.index:
            rows.append((us * state[row["admin1"]] / state["US"], near, shift, "retail"))
        elif row["country"] in ratio.index:
            rows.append((europe * ratio[row["country"]], near, shift, "retail"))
        else:
            rows.append((means[near], near, shift, "proxy"))
    columns = ["price_usd_per_mwh", "price_donor", "price_shift_h", "price_basis"]
    return pd.concat([zones, pd.DataFrame(rows, columns=columns)], axis=1)


def price_shapes(data: pathlib.Path, hours: pd.DatetimeIndex) -> pd.DataFrame:
    """Hourly prices of 2022 over their mean [0.01], gaps filled (GB's January by France)."""
    hourly = pd.read_parquet(
        data / "price-hourly-23zones-2020-2024" / "price_hourly_usd_mwh.parquet"
    )
    shape = hourly.reindex(hours)
    shape = shape / shape.mean()
    shape["GB"] = shape["GB"].fillna(shape["FR"])
    shape = shape.interpolate(limit_direction="both")
    return (shape * 100).round().clip(-32000, 32000).astype(np.int16)
