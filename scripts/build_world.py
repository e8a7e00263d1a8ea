"""Build the generator's bundled tables (`jaxplace/world/data/`) from a folder of open data sets.

usage: python scripts/build_world.py DATA_DIR

DATA_DIR holds one folder per data set, named as in the constants below; sources, commits and
licences are listed in jaxplace/world/data/README.md.  The output depends on the input alone.
"""

import argparse
import pathlib
import re
import unicodedata
import zoneinfo
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from grid_levels import csv, price_shapes, zone_table
from grid_points import COUNTRY_ALIAS, GRID_POINTS, MARKETS

from jaxplace.world.anchors import great_circle_km


OUT = pathlib.Path(__file__).resolve().parents[1] / "jaxplace" / "world" / "data"
SMALLEST_CITY = 120_000
METRO_KM, CITY_KM = (
    25.0,
    10.0,
)  # a metro or city nearer than this to a better-ranked place is left out
HYPERSCALE = ("aws", "azure", "gcp")
JULY = datetime(2022, 7, 1, 12)  # when UTC offsets are read


def write(frame: pd.DataFrame, name: str) -> None:
    """One table of the bundle, compressed and without writer-dependent metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    plain = all(pa.types.is_integer(f.type) for f in table.schema)
    pq.write_table(
        table,
        OUT / f"{name}.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=not plain,
        column_encoding="DELTA_BINARY_PACKED" if plain else None,
    )
    print(f"{name:16} {len(frame):6} rows  {(OUT / f'{name}.parquet').stat().st_size:9,} bytes")


def slug(name: str) -> str:
    """ASCII words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()


def utc_offset(zone: str) -> float:
    """Hours ahead of UTC in July 2022."""
    offset = zoneinfo.ZoneInfo(zone).utcoffset(JULY)
    return 0.0 if offset is None else offset.total_seconds() / 3600


def read_cities(data: pathlib.Path) -> pd.DataFrame:
    """All GeoNames cities of 15,000 inhabitants or more, largest first."""
    cities = pd.read_parquet(data / "geonames-cities15000" / "cities15000.parquet")
    cities = cities.rename(columns={"countrycode": "country", "admin1code": "admin1"})
    cities = cities.sort_values(["population", "geonameid"], ascending=[False, True])
    offsets = {z: utc_offset(z) for z in cities["timezone"].unique()}
    cities["utc_offset_h"] = cities["timezone"].map(offsets)
    return cities.reset_index(drop=True)


def cloud_places(data: pathlib.Path) -> pd.DataFrame:
    """The measured anchor regions first, then the other regions of the cloud list."""
    anchors = csv(data / "default-scenario-region-map" / "region_map.csv")
    anchors = anchors.rename(columns={"region": "place", "iso2": "country"})
    anchors["kind"] = "anchor"
    clouds = csv(data / "cloud-regions-10providers" / "cloud_regions.csv")
    clouds = clouds[clouds["provider"] != "onedrive"]
    countries = csv(data / "geonames-cities15000" / "countries.csv")
    iso2 = dict(zip(countries["name"], countries["iso2"], strict=True)) | COUNTRY_ALIAS
    clouds["place"] = clouds["provider"] + ":" + clouds["region"]
    clouds["country"] = clouds["country"].map(iso2)
    clouds["kind"] = "cloud"
    clouds = clouds[~clouds["place"].isin(anchors["place"])].drop_duplicates("place")
    rank = {p: i for i, p in enumerate((*HYPERSCALE, "oci", "ibm", "alibaba"))}
    clouds = clouds.sort_values(
        ["provider", "place"], key=lambda s: s.map(lambda v: f"{rank.get(v, 9)}{v}")
    )
    both = pd.concat([anchors, clouds], ignore_index=True)
    both["name"] = both["location"].fillna(both["place"]) if "location" in both else both["place"]
    both["tier"] = np.where(both["provider"].isin(HYPERSCALE), "hyperscale", "colo")
    return both.rename(columns={"lat": "latitude", "lon": "longitude"})


def metro_places(data: pathlib.Path) -> pd.DataFrame:
    """Cloudflare's metros that have coordinates."""
    metros = csv(data / "cloudflare-pops" / "cloudflare_colos.csv").dropna(subset=["lat", "lon"])
    metros = metros.drop(columns=["country", "region"])
    metros = metros.rename(columns={"lat": "latitude", "lon": "longitude", "cca2": "country"})
    metros["place"] = "metro:" + metros["colo"]
    return metros.assign(kind="metro", provider="colo", tier="colo").sort_values("place")


def city_places(cities: pd.DataFrame) -> pd.DataFrame:
    """Cities of at least `SMALLEST_CITY`, named by country and name."""
    large = cities[cities["population"] >= SMALLEST_CITY].copy()
    large["city"] = large["country"].str.lower() + "-" + large["name"].map(slug)
    twice = large["city"].duplicated()
    large.loc[twice, "city"] += "-" + large.loc[twice, "geonameid"].astype(str)
    large["place"] = "edge:" + large["city"]
    return large.assign(kind="city", provider="edge", tier="edge")


def drop_near(places: pd.DataFrame, kind: str, km: float) -> pd.DataFrame:
    """Without the places of `kind` that lie within `km` of a better-ranked place."""
    lat, lon = places["latitude"].to_numpy(), places["longitude"].to_numpy()
    near = great_circle_km(lat[:, None], lon[:, None], lat, lon) < km
    better = np.tril(near, -1).any(axis=1)
    return places[~(better & (places["kind"] == kind).to_numpy())].reset_index(drop=True)


def fill_from_nearest_city(places: pd.DataFrame, cities: pd.DataFrame) -> pd.DataFrame:
    """Time zone and US state of places that are not cities, from the nearest city."""
    places = places.copy()
    for index in places.index[places["utc_offset_h"].isna()]:
        row = places.loc[index]
        near = cities[cities["country"] == row["country"]]
        near = near if len(near) else cities
        km = great_circle_km(row["latitude"], row["longitude"], near["latitude"], near["longitude"])
        city = near.iloc[int(np.argmin(km))]
        places.loc[index, ["utc_offset_h", "admin1"]] = [city["utc_offset_h"], city["admin1"]]
    places["utc_offset_h"] = places["utc_offset_h"].astype(float)
    return places


def carbon_zone(places: pd.DataFrame, zones: set[str]) -> list[str]:
    """The Electricity Maps zone of each place."""
    points = [(z, *p) for z, ps in GRID_POINTS.items() for p in ps]
    found = []
    for country, lat, lon in zip(
        places["country"], places["latitude"], places["longitude"], strict=True
    ):
        own = [p for p in points if p[0].split("-")[0] == country]
        if own:
            found.append(min(own, key=lambda p: float(great_circle_km(lat, lon, p[1], p[2])))[0])
        else:
            found.append(country if country in zones else {"CL": "CL-SEN"}.get(country, ""))
    return found


def anchor_matrix(data: pathlib.Path) -> pd.DataFrame:
    """RTT between the anchors [0.1 ms]; a pair's two directions measure one loop: the minimum."""
    table = csv(data / "default-scenario-region-map" / "region_map.csv")
    rtt = csv(data / "cloud-rtt-throughput-egress-skyplane" / "rtt_ms.csv.gz")
    rtt = rtt[(rtt["src_tier"] == "PREMIUM") & (rtt["dst_tier"] == "PREMIUM")]
    wide = rtt.groupby(["src_region", "dst_region"])["min_rtt"].min().unstack()
    wide = wide.loc[table["skyplane_key"], table["skyplane_key"]].to_numpy(copy=True)
    np.fill_diagonal(wide, 0.0)
    wide = np.fmin(wide, wide.T)
    if np.isnan(wide).any():
        raise SystemExit("build_world: the anchor matrix has holes")
    return pd.DataFrame(np.round(wide * 10).astype(np.uint16), columns=table["region"])


def egress_classes(data: pathlib.Path, places: pd.DataFrame) -> pd.DataFrame:
    """Median list price by provider and continent of both ends [USD/GB]."""
    cost = csv(data / "cloud-rtt-throughput-egress-skyplane" / "egress_usd_per_gb.csv.gz")
    continent = places.set_index("place")["continent"].to_dict()
    for end in ("src", "dest"):
        cost[end] = cost[end].str.replace(r"^(gcp:.*)-[a-z]$", r"\1", regex=True)  # zone -> region
        cost[f"{end}_provider"] = cost[end].str.split(":").str[0]
        cost[f"{end}_continent"] = cost[end].map(continent)
    cost = cost.dropna()
    keys = ["src_provider", "src_continent", "dest_provider", "dest_continent"]
    return cost.groupby(keys)["cost"].median().reset_index(name="usd_per_gb")


def servegen(data: pathlib.Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Clients with their total rate and token quantiles, and the services' rate by hour of day."""
    folder = data / "llm-trace-servegen"
    rates = pd.read_parquet(folder / "client_rates.parquet")
    tokens = pd.read_parquet(folder / "client_token_quantiles.parquet")
    quantiles = [c for c in tokens.columns if "_q" in c]
    total = rates.groupby(["model", "client"], as_index=False)["rate"].sum()
    total["rate"] = (total["rate"].astype(float) * 600).round(1)
    clients = tokens[["model", "client", *quantiles]].merge(total, on=["model", "client"])
    clients[quantiles] = clients[quantiles].round().astype(np.int32)
    clients = clients.sort_values(["model", "rate"], ascending=[True, False])
    # the one service whose hours look like a day: trough at 3, peak at 20 (2.2 times as high)
    text = rates[rates["model"] == "m-small"]
    by_hour = text.groupby((text["ts"] // 3600) % 24)["rate"].sum()
    profile = pd.DataFrame({"hour": np.arange(24), "factor": (by_hour / by_hour.mean()).round(4)})
    return clients.reset_index(drop=True), profile


def build_places(data: pathlib.Path) -> pd.DataFrame:
    """Every place a region can lie in, best-ranked first, with zones and continents."""
    cities = read_cities(data)
    places = pd.concat(
        [cloud_places(data), metro_places(data), city_places(cities)], ignore_index=True
    )
    places = drop_near(places, "metro", METRO_KM)
    places = drop_near(places, "city", CITY_KM)
    places = fill_from_nearest_city(places, cities)
    countries = csv(data / "geonames-cities15000" / "countries.csv")
    places["continent"] = places["country"].map(
        dict(zip(countries["iso2"], countries["continentcode"], strict=True))
    )
    yearly = csv(data / "carbon-annual-open" / "em_zone_yearly_2021_2025.csv")
    places["carbon_zone"] = carbon_zone(places, set(yearly["zone"]))
    mapped = places["em_zone"].isin(set(yearly["zone"]))
    places.loc[mapped, "carbon_zone"] = places.loc[mapped, "em_zone"]
    blank = places["carbon_zone"] == ""
    places.loc[blank, "carbon_zone"] = places.loc[blank, "country"]
    markets = {z for zs, *_ in MARKETS.values() for z in zs}
    by_state = (places["country"] == "US") & ~places["carbon_zone"].isin(markets)
    suffix = np.where(by_state, "/" + places["admin1"].astype(str), "")
    places["grid_zone"] = places["carbon_zone"] + suffix
    return places


def main() -> None:
    """Read DATA_DIR, write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=pathlib.Path, metavar="DATA_DIR")
    data = parser.parse_args().data
    OUT.mkdir(parents=True, exist_ok=True)
    places = build_places(data)
    zones, carbon = zone_table(data, places)
    columns = ["place", "kind", "provider", "tier", "latitude", "longitude", "country"]
    columns += ["continent", "utc_offset_h", "grid_zone"]
    places["latitude"], places["longitude"] = (
        places["latitude"].astype(float).round(4),
        places["longitude"].astype(float).round(4),
    )
    write(places[columns], "places")
    cities = fill_from_nearest_city(city_places(read_cities(data)), places)
    continent = csv(data / "geonames-cities15000" / "countries.csv")
    cities["continent"] = cities["country"].map(
        dict(zip(continent["iso2"], continent["continentcode"], strict=True))
    )
    for column in ("latitude", "longitude"):
        cities[column] = cities[column].astype(float).round(4)
    columns = ["city", "latitude", "longitude", "country", "continent", "population"]
    write(cities[[*columns, "utc_offset_h"]], "cities")
    columns = ["grid_zone", "country", "carbon_g_per_kwh", "carbon_known", "carbon_donor"]
    columns += ["carbon_shift_h", "carbon_own", "marginal_g_per_kwh", "price_usd_per_mwh"]
    zones["price_usd_per_mwh"] = zones["price_usd_per_mwh"].astype(float).round(2)
    zones["carbon_shift_h"] = zones["carbon_shift_h"].astype(np.int8)
    zones["price_shift_h"] = zones["price_shift_h"].astype(np.int8)
    zones["carbon_own"] = zones["carbon_own"].astype(bool)
    write(zones[[*columns, "price_donor", "price_shift_h", "price_basis"]], "zones")
    write(carbon, "carbon_2022")
    write(price_shapes(data, carbon.index)[sorted(MARKETS)], "price_2022")
    write(anchor_matrix(data), "anchor_rtt")
    write(egress_classes(data, places), "egress")
    clients, profile = servegen(data)
    write(clients, "clients")
    write(profile, "day_profile")
    groups = csv(data / "jurisdiction-groups" / "jurisdictions.csv")
    columns = ["iso2", "continentcode", "eu", "eea", "eu_adequacy", "localisation_flag"]
    write(groups[columns], "jurisdictions")


if __name__ == "__main__":
    main()
