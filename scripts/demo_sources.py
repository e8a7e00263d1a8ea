"""The measured half of the demo: regions, signals, latency and list prices from the data folder."""

import pathlib

import numpy as np
import pandas as pd

from jaxplace.world.anchors import anchor_rtt, great_circle_km


FIRST_HOUR, HOURS = "2022-06-27T00:00", 168  # a Monday; no price or carbon is missing in it
MARGINAL_SWING = 0.1  # how far the marginal series follows the average one, per standard deviation
HONG_KONG_MARGINAL = "CN"  # IFI has no row for HK

# State whose industrial price stands for a region, and for a US market that serves as a proxy.
REGION_STATE = {
    "aws:us-west-2": "OR",
    "gcp:us-west1": "OR",
    "azure:westus3": "AZ",
    "gcp:us-west4": "NV",
    "gcp:us-central1": "IA",
    "gcp:us-east1": "SC",
}
MARKET_STATE = {"US-CAL-CISO": "CA", "US-TEX-ERCO": "TX", "US-MIDA-PJM": "VA"}
# Not GB: Eurostat's last British price is years older than the others.  CH has none.
MARKET_ISO3 = {"DE-LU": "DEU"}

# Assumed: summers decide.  Everything else is 1.20.
PUE_COOL = ("CA", "CH", "FI", "IE", "NO", "PL", "SE", "GB", "NL", "DE", "BE")
PUE_HOT = ("AE", "BH", "HK", "ID", "IN", "SG", "TW")


def read_csv(path: pathlib.Path) -> pd.DataFrame:
    """A CSV in which ``NA`` is Namibia (or North America), not a missing value."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def read_regions(data: pathlib.Path) -> pd.DataFrame:
    """The 69 regions with their electricity zone, market and proxy scale, sorted by region."""
    regions = read_csv(data / "default-scenario-region-map" / "region_map.csv")
    regions = regions.sort_values("region", ignore_index=True)
    regions["scale"] = [
        1.0 if exact else scale
        for exact, scale in zip(regions["price_exact"], _proxy_scale(data, regions), strict=True)
    ]
    # carbon zone alone would do today; the market is named so that proxies show
    proxy = regions["price_zone"].where(regions["price_exact"] == 0, "")
    regions["grid_zone"] = [
        f"{zone}~{market}" if market else zone
        for zone, market in zip(regions["em_zone"], proxy, strict=True)
    ]
    distinct = regions.groupby("grid_zone")[["price_zone", "scale", "iso2"]].nunique()
    if (distinct > 1).any(axis=None):
        raise ValueError(f"grid zones with two series: {distinct[(distinct > 1).any(axis=1)]}")
    country = regions["iso2"]
    regions["pue"] = np.select([country.isin(PUE_COOL), country.isin(PUE_HOT)], [1.10, 1.30], 1.20)
    return regions


def _proxy_scale(data: pathlib.Path, regions: pd.DataFrame) -> list[float]:
    """Industrial price level of each region's place over that of its market's; 1 if unknown."""
    eia = read_csv(data / "price-eia-us-states" / "eia_state_prices.csv")
    eia = eia[(eia["year"] == 2022) & (eia["sector"] == "IND")]
    state = eia.set_index("state")["usd_per_kwh"]
    eurostat = read_csv(data / "price-eurostat-industrial" / "eurostat_industrial_ex_tax.csv")
    country = eurostat.set_index("iso3")["usd_per_kwh"]
    names = read_csv(data / "jurisdiction-groups" / "jurisdictions.csv")
    iso3 = names.set_index("iso2")["iso3"]
    scale = []
    for row in regions.itertuples():
        here = state.get(REGION_STATE.get(row.region, ""))
        there = state.get(MARKET_STATE.get(row.price_zone, ""))
        if here is None:
            here, there = country.get(iso3[row.iso2]), country.get(MARKET_ISO3.get(row.price_zone))
        scale.append(1.0 if here is None or there is None else round(float(here / there), 3))
    return scale


def week(data: pathlib.Path, regions: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """`signals` of the week, and a sentence for each market with interpolated hours."""
    folder = data / "price-hourly-23zones-2020-2024"
    price = pd.read_parquet(folder / "price_hourly_usd_mwh.parquet")
    folder = data / "carbon-hourly-em-123zones-2022"
    carbon = pd.read_parquet(folder / "ci_lca_g_per_kwh_2022.parquet")
    if not isinstance(carbon.index, pd.DatetimeIndex):
        carbon = carbon.set_index(carbon.columns[0])
    carbon.index = pd.to_datetime(carbon.index, utc=True)
    margin = _operating_margin(data)
    hours = pd.date_range(FIRST_HOUR, periods=HOURS, freq="h", tz="UTC")
    gaps = [
        f"price of {zone}: {int(price.loc[hours, zone].isna().sum())} hours interpolated"
        for zone in sorted(set(regions["price_zone"]))
        if price.loc[hours, zone].isna().any()
    ]
    price = price.loc[hours].interpolate(limit_direction="both")
    tables = []
    for row in regions.drop_duplicates("grid_zone").sort_values("grid_zone").itertuples():
        average, anomaly = _carbon(carbon, row.em_zone, row.ci_mean_2022, hours)
        marginal = margin[row.iso2] * np.maximum(1 + MARGINAL_SWING * anomaly, 0)
        columns = {
            "time_utc": hours.tz_localize(None),
            "grid_zone": row.grid_zone,
            "price_usd_per_mwh": (price[row.price_zone] * row.scale).to_numpy(float).round(2),
            "carbon_g_per_kwh": average.round(1),
            "carbon_marginal_g_per_kwh": marginal.round(1),
        }
        tables.append(pd.DataFrame(columns))
    signals = pd.concat(tables, ignore_index=True)
    return signals.sort_values(["time_utc", "grid_zone"], ignore_index=True), gaps


def _carbon(
    carbon: pd.DataFrame, zone: str, yearly: float, hours: pd.DatetimeIndex
) -> tuple[np.ndarray, np.ndarray]:
    """A zone's carbon in the week [g/kWh], and its anomaly in the year's standard deviations."""
    if zone not in carbon.columns:  # only a yearly mean is known
        return np.full(len(hours), float(yearly)), np.zeros(len(hours))
    year = carbon[zone].astype(float)
    average = year.loc[hours].interpolate(limit_direction="both").to_numpy()
    spread = float(year.std())
    return average, (average - float(year.mean())) / (spread or 1.0)


def _operating_margin(data: pathlib.Path) -> dict[str, float]:
    """IFI operating margin by country [g/kWh]."""
    ifi = read_csv(data / "carbon-annual-open" / "ifi_marginal_2021.csv")
    margin = dict(zip(ifi["iso2"], ifi["operating_margin_g_per_kwh"].astype(float), strict=True))
    margin["HK"] = margin[HONG_KONG_MARGINAL]
    return margin


def latency(data: pathlib.Path, origins: pd.DataFrame, regions: pd.DataFrame) -> pd.DataFrame:
    """Modelled RTT of every origin to every region, on the measured RTT between regions."""
    measured = pd.read_csv(data / "cloud-rtt-throughput-egress-skyplane" / "rtt_ms.csv.gz")
    premium = (measured["src_tier"] == "PREMIUM") & (measured["dst_tier"] == "PREMIUM")
    between = measured[premium].pivot_table(
        index="src_region", columns="dst_region", values="avg_rtt"
    )
    key = regions["skyplane_key"]
    between = between.reindex(index=key, columns=key).to_numpy(copy=True)
    np.fill_diagonal(between, 0.0)  # inside one region
    if np.isnan(between).any():
        raise ValueError("the RTT matrix has holes")
    place = regions["lat"].to_numpy(), regions["lon"].to_numpy()
    rtt = anchor_rtt(
        origins["latitude"],
        origins["longitude"],
        *place,
        anchor_lat=place[0],
        anchor_lon=place[1],
        anchor_rtt_ms=between,
    )
    return pd.DataFrame(
        {
            "origin": np.repeat(origins["origin"].to_numpy(), len(regions)),
            "region": np.tile(regions["region"].to_numpy(), len(origins)),
            "rtt_ms": rtt.round(1).ravel(),
        }
    )


def transfer(
    data: pathlib.Path, regions: pd.DataFrame, continents: dict[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """List prices: region to region, and Internet to region by the user's continent.

    A reply travels from the region to the user, yet the table is looked up as (zone of the
    origin, zone of the region); so a row from ``internet-EU`` carries what the region charges to
    send one GB to users in Europe.  That is what it charges to send to other clouds there.

    Returns:
        The table, and the names of regions that borrow their nearest sister's prices.
    """
    pairs = read_csv(data / "cloud-rtt-throughput-egress-skyplane" / "egress_usd_per_gb.csv.gz")
    listed = pairs.pivot_table(index="src", columns="dest", values="cost", aggfunc="min")
    lender, borrowed = _lenders(regions, set(listed.index) & set(listed.columns))
    rows = []
    lent = lender.to_dict()
    continent = dict(zip(regions["region"], regions["iso2"].map(continents), strict=True))
    provider = dict(zip(regions["region"], regions["provider"], strict=True))
    same = {name: _same_provider(listed, provider[name]) for name in regions["region"]}
    names = list(regions["region"])
    for a in names:
        to = {b: float(listed.loc[lent[a], lent[b]]) for b in names if lent[a] != lent[b]}
        rows += [(a, b, to.get(b, same[a])) for b in names if a != b]
        other = [b for b in to if provider[b] != provider[a]]
        for name in sorted(set(continents.values()) - {"AN"}):
            there = [to[b] for b in other if continent[b] == name] or [to[b] for b in other]
            rows.append((f"internet-{name}", a, float(np.median(there))))
    table = pd.DataFrame(rows, columns=["from_zone", "to_zone", "usd_per_gb"])
    table["usd_per_gb"] = table["usd_per_gb"].round(4)
    return table, borrowed


def _same_provider(listed: pd.DataFrame, provider: str) -> float:
    """Smallest list price inside a provider: for two regions that borrow the same prices."""
    mine = [name for name in listed.index if name.startswith(f"{provider}:")]
    return float(np.nanmin(listed.reindex(index=mine, columns=mine).to_numpy()))


def _lenders(regions: pd.DataFrame, listed: set[str]) -> tuple[pd.Series, list[str]]:
    """For each region the listed key it is priced as: its own, or its provider's nearest."""
    lender, borrowed = {}, []
    has = regions["skyplane_key"].isin(listed)
    for row, own in zip(regions.itertuples(), has, strict=True):
        if own:
            lender[row.region] = row.skyplane_key
            continue
        sisters = regions[has & (regions["provider"] == row.provider)]
        km = great_circle_km(row.lat, row.lon, sisters["lat"], sisters["lon"])
        lender[row.region] = sisters["skyplane_key"].iloc[int(np.argmin(km))]
        borrowed.append(f"{row.region} as {lender[row.region]}")
    return pd.Series(lender), borrowed
