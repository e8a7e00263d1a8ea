"""The demand half of the demo: metros, model sizes, reply lengths and request groups."""

import json
import math
import pathlib
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from demo_sources import read_csv

from jaxplace.world.anchors import great_circle_km


ORIGINS, PER_COUNTRY, METRO_KM = 300, 40, 40.0
# Assumed: mainland China is served from regions that are not among the 69, and US clouds do not
# serve the others.
LEFT_OUT = ("CN", "CU", "IR", "KP", "SY")
# Assumed use of AI services per inhabitant, relative to the rest of the world.
HIGH_INCOME = (
    *("AE", "AU", "BH", "CA", "CH", "GB", "HK", "IL", "IS", "JP", "KR", "KW", "NO", "NZ"),
    *("PR", "QA", "SA", "SG", "TW", "US"),
)
HIGH_USE, LOW_USE = 4.0, 0.5

CALLS_PER_UNIT = 100
FLEET_SCALE = 10.0  # assumed: the world's fleet over the one provider that ServeGen saw
REPLY_POINTS = 200  # how finely a client's reply lengths are cut
SMALLEST_GROUP = 0.5  # units; smaller groups are dropped and their demand given to the others

# EcoLogits 0.11.3 (impacts/llm.py): memory of a model, of a GPU, and of the rest of the server.
BYTES_PER_PARAMETER, MEMORY_OVERHEAD, GPU_MEMORY_GB = 2.0, 1.2, 80.0

CLASS_BUDGET_MS = {"A": 300.0, "B": 1500.0, "C": 60_000.0, "D": 3_600_000.0}
NETWORK_MS = {
    "A": 100.0,
    "B": 140.0,
    "C": 2_000.0,
}  # assumed: left to the network
CLIENT_MS_HIGH, CLIENT_MS_OTHER = 10.0, 25.0  # assumed access network
OFFLINE_SHARE = 0.20  # assumed: calls of any model that nobody waits for
EAGER_SHARE = 0.70  # assumed: calls that could be A (or B), and are
STREAM_BYTES_PER_TOKEN, PLAIN_BYTES_PER_TOKEN, REPLY_BYTES = 250.0, 5.0, 1_000.0  # assumed
TEXT_BYTES_PER_TOKEN, SESSION_BYTES = 4.0, 10_000.0  # assumed


@dataclass(frozen=True)
class Workload:
    """A model size and the longest reply that it is used for; sizes are those of real models."""

    name: str
    total_b: float  # parameters [1e9]
    active_b: float
    batch: int  # concurrent calls; a smaller batch is faster and takes more energy
    tightest: str  # the class whose budget sets the longest reply
    bins: int  # reply-length bins of a (workload, class)


WORKLOADS = (
    Workload("2b-instant", 2.61, 2.61, 8, "A", 3),  # gemma-2-2b-it
    Workload("8b-instant", 8.03, 8.03, 8, "A", 3),  # Meta-Llama-3.1-8B-Instruct
    Workload("8b-short", 8.03, 8.03, 16, "B", 8),
    Workload("32b-short", 32.30, 32.30, 16, "B", 8),  # command-r-08-2024
    Workload("8b-long", 8.03, 8.03, 64, "C", 8),
    Workload("32b-long", 32.30, 32.30, 64, "C", 8),
    Workload("70b-long", 70.55, 70.55, 64, "C", 8),  # Meta-Llama-3.1-70B-Instruct
    Workload("141b-moe-long", 140.60, 39.10, 64, "C", 8),  # Mixtral-8x22B-Instruct-v0.1
)
# Assumed: which sizes stand for ServeGen's services, whose own sizes are not public
# (deepseek-r1's are, but a model of the EcoLogits list keeps the memory rule simple).
SERVICE = {
    "m-small": ("2b-instant", None, "8b-long"),
    "m-mid": ("8b-instant", "8b-short", "32b-long"),
    "m-large": (None, "32b-short", "70b-long"),
    "deepseek-r1": (None, None, "141b-moe-long"),
}
SIZE_OF = {w.name: w for w in WORKLOADS}


class Energy:
    """EcoLogits' regressions, before any PUE."""

    def __init__(self, data: pathlib.Path):
        path = data / "llm-energy-ecologits" / "coefficients.json"
        c = json.loads(path.read_text())
        self.gpu, self.latency = c["gpu_energy_wh_per_token"], c["latency_s_per_token"]
        self.server_gpus, self.server_kw = c["server_gpus"], c["server_power_kw_without_gpu"]

    def seconds_per_token(self, w: Workload) -> float:
        """Time per output token at the workload's batch [s]."""
        c = self.latency
        return c["alpha"] * w.active_b + c["beta"] * w.batch + c["gamma"]

    def gpus(self, w: Workload) -> int:
        """GPUs that hold the model, a power of two."""
        gb = MEMORY_OVERHEAD * w.total_b * BYTES_PER_PARAMETER
        return 2 ** math.ceil(math.log2(math.ceil(gb / GPU_MEMORY_GB)))

    def gpu_h_per_token(self, w: Workload) -> float:
        """Accelerator time of one output token of one call of the batch [GPU h]."""
        return self.gpus(w) * self.seconds_per_token(w) / w.batch / 3600

    def kwh_per_token(self, w: Workload) -> float:
        """IT energy of one output token: GPUs and their share of the server [kWh]."""
        c = self.gpu
        wh = c["alpha"] * math.exp(c["beta"] * w.batch) * w.active_b + c["gamma"]
        server = self.server_kw / self.server_gpus * self.gpu_h_per_token(w)
        return self.gpus(w) * wh / 1000 + server

    def first_token_ms(self, w: Workload) -> float:
        """Assumed time to read the prompt: 20 ms and 2 ms per 1e9 active parameters."""
        return 20.0 + 2.0 * w.active_b

    def longest_reply(self, w: Workload) -> int:
        """Tokens that meet the budget of the workload's tightest class [tokens]."""
        left = CLASS_BUDGET_MS[w.tightest] - NETWORK_MS[w.tightest] - self.first_token_ms(w)
        return int(left / 1000 / self.seconds_per_token(w))

    def service_ms(self, w: Workload) -> float:
        """Time of the longest reply: the budget then holds for every shorter one too."""
        tokens = self.longest_reply(w)
        return round(self.first_token_ms(w) + 1000 * tokens * self.seconds_per_token(w), 1)


def continents(data: pathlib.Path) -> dict[str, str]:
    """Continent of each country."""
    table = read_csv(data / "jurisdiction-groups" / "jurisdictions.csv")
    return dict(zip(table["iso2"], table["continentcode"], strict=True))


def metros(data: pathlib.Path) -> pd.DataFrame:
    """The 300 metros with the most assumed users; a metro is a city and all within 40 km."""
    cities = pd.read_parquet(data / "geonames-cities15000" / "cities15000.parquet")
    cities = cities[~cities["countrycode"].isin(LEFT_OUT)].reset_index(drop=True)
    cities = cities.sort_values(["population", "geonameid"], ascending=[False, True])
    where = continents(data)
    table = read_csv(data / "jurisdiction-groups" / "jurisdictions.csv").set_index("iso2")
    rich = set(table.index[table["eea"] == 1]) | set(HIGH_INCOME)
    lat, lon = cities["latitude"].to_numpy(float), cities["longitude"].to_numpy(float)
    population = cities["population"].to_numpy(float)
    free, found = np.ones(len(cities), bool), []
    for i in np.nonzero(population >= 200_000)[0]:
        if not free[i]:
            continue
        near = free & (great_circle_km(lat[i], lon[i], lat, lon) <= METRO_KM)
        near &= cities["countrycode"].to_numpy() == cities["countrycode"].iloc[i]
        free[near] = False
        found.append((i, population[near].sum()))
    rows, people = zip(*found, strict=True)
    table = cities.iloc[list(rows)].assign(people=people)
    use = table["countrycode"].map(lambda c: _use(c, rich, where))
    table = table.assign(weight=table["people"] * use, rich=table["countrycode"].isin(rich))
    table = table.sort_values(["weight", "geonameid"], ascending=[False, True])
    table = table[table.groupby("countrycode").cumcount() < PER_COUNTRY].head(ORIGINS)
    table["weight"] /= table["weight"].sum()
    slug = table["name"].str.lower().str.replace(r"[^\w]+", "-", regex=True).str.strip("-")
    table["origin"] = table["countrycode"] + "-" + slug
    twice = table["origin"].duplicated(keep=False)
    table.loc[twice, "origin"] += "-" + table.loc[twice, "geonameid"].astype(str)
    table["continent"] = table["countrycode"].map(where)
    return table.sort_values("origin", ignore_index=True)


def _use(country: str, rich: set[str], where: dict[str, str]) -> float:
    """Assumed calls per inhabitant, relative."""
    return HIGH_USE if country in rich else LOW_USE if where[country] == "AF" else 1.0


def demand(data: pathlib.Path, origins: pd.DataFrame, hours: pd.DatetimeIndex) -> pd.DataFrame:
    """The factor of each origin and hour: ServeGen's day at the origin's local time, mean 1."""
    rates = pd.read_parquet(data / "llm-trace-servegen" / "client_rates.parquet")
    text = rates[rates["model"].isin(["m-large", "m-mid", "m-small"])]  # 14 days each
    day = text.assign(hour=text["ts"] // 3600 % 24).groupby(["model", "hour"])["rate"].sum()
    day = day.unstack("hour")
    profile = day.div(day.mean(axis=1), axis=0).mean().to_numpy(float)  # services count alike
    tables = []
    for row in origins.itertuples():
        local = hours.tz_convert(ZoneInfo(row.timezone))
        at = local.hour + local.minute / 60
        factor = np.interp(at, np.arange(25), np.append(profile, profile[0]))
        tables.append(
            pd.DataFrame(
                {
                    "time_utc": hours.tz_localize(None),
                    "origin": row.origin,
                    "factor": factor.round(3),
                }
            )
        )
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values(["time_utc", "origin"], ignore_index=True)


def replies(data: pathlib.Path) -> pd.DataFrame:
    """Calls an hour by service, prompt and reply length, from ServeGen's clients."""
    folder = data / "llm-trace-servegen"
    rates = pd.read_parquet(folder / "client_rates.parquet")
    tokens = pd.read_parquet(folder / "client_token_quantiles.parquet")
    span = rates.groupby("model")["ts"].max() + 600  # bins of 10 minutes
    calls = rates.groupby(["model", "client"])["rate"].sum() * 600
    total = calls.groupby("model").sum() / (span / 3600)
    levels = [c[len("out_q") :] for c in tokens.columns if c.startswith("out_q")]
    at = (np.arange(REPLY_POINTS) + 0.5) / REPLY_POINTS
    tables = []
    for service in SERVICE:
        mine = tokens[tokens["model"] == service]
        weight = calls[service].reindex(mine["client"], fill_value=0.0).to_numpy(float)
        # clients without token data are given the mix of the service's other clients
        weight *= float(total[service]) * FLEET_SCALE / weight.sum()
        length = np.stack(
            [
                np.interp(at, np.array(levels, float), np.log1p(row))
                for row in mine[[f"out_q{q}" for q in levels]].to_numpy(float)
            ]
        )
        tables.append(
            pd.DataFrame(
                {
                    "service": service,
                    "calls": np.repeat(weight / REPLY_POINTS, REPLY_POINTS),
                    "in_tokens": np.repeat(mine["in_mean"].to_numpy(float), REPLY_POINTS),
                    "out_tokens": np.maximum(np.round(np.expm1(length)), 1).ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def flows(calls: pd.DataFrame, energy: Energy) -> pd.DataFrame:
    """Calls an hour by workload, class and reply-length bin, for the whole world."""
    parts = []
    for service, (instant, short, long) in SERVICE.items():
        mine = calls[calls["service"] == service]
        online = mine.assign(calls=mine["calls"] * (1 - OFFLINE_SHARE))
        for name in (instant, short):
            if name is None:
                continue
            w = SIZE_OF[name]
            fits = online["out_tokens"] <= energy.longest_reply(w)
            taken = online[fits].assign(workload=name, slo=w.tightest)
            parts.append(taken.assign(calls=taken["calls"] * EAGER_SHARE))
            left = np.where(fits, 1 - EAGER_SHARE, 1.0)
            online = online.assign(calls=online["calls"] * left)
        fits = online["out_tokens"] <= energy.longest_reply(SIZE_OF[long])
        offline = mine.assign(calls=mine["calls"] * OFFLINE_SHARE)
        parts.append(online[fits].assign(workload=long, slo="C"))
        parts.append(pd.concat([online[~fits], offline]).assign(workload=long, slo="D"))
    every = pd.concat(parts, ignore_index=True)
    binned = [_bins(part, key[0]) for key, part in every.groupby(["workload", "slo"])]
    return pd.concat(binned, ignore_index=True)


def _bins(part: pd.DataFrame, workload: str) -> pd.DataFrame:
    """Reply-length bins of about the same number of calls, each with its mean lengths."""
    part = part.sort_values("out_tokens", kind="stable")
    share = part["calls"].cumsum() / part["calls"].sum()
    # equal lengths stay together: the bin of a length is that of its first call
    first = share.groupby(part["out_tokens"]).transform("min")
    bins = SIZE_OF[workload].bins
    part = part.assign(bin=np.minimum((first * bins).astype(int), bins - 1))
    for column in ("in_tokens", "out_tokens"):
        part[column] = part[column] * part["calls"]
    binned = part.groupby(["workload", "slo", "bin"], as_index=False)[
        ["calls", "in_tokens", "out_tokens"]
    ].sum()
    for column in ("in_tokens", "out_tokens"):
        binned[column] /= binned["calls"]
    return binned


def residency_classes(data: pathlib.Path) -> tuple[pd.DataFrame, dict[str, list]]:
    """The table `residency`, and the assumed mix (class, share) of each country's calls."""
    table = read_csv(data / "jurisdiction-groups" / "jurisdictions.csv")
    eu = sorted(table["iso2"][table["eu"] == 1])
    eea = sorted(table["iso2"][table["eea"] == 1])
    adequate = sorted(table["iso2"][(table["eea"] == 1) | (table["eu_adequacy"] == 1)])
    kept = sorted(set(table["iso2"][table["localisation_flag"] == 1]) - set(LEFT_OUT))
    rows = [("eu_only", c) for c in eu] + [("eea_adequacy", c) for c in adequate]
    rows += [("us_only", "US")] + [(f"local_{c.lower()}", c) for c in kept]
    mix: dict[str, list] = {c: [("eea_adequacy", 0.5), (None, 0.5)] for c in [*eea, "CH", "GB"]}
    mix |= {c: [("eu_only", 0.4), ("eea_adequacy", 0.35), (None, 0.25)] for c in eu}
    mix |= {"US": [("us_only", 0.25), (None, 0.75)]}
    # few, since of these countries only Indonesia has a region here: the rest is unservable
    mix |= {c: [(f"local_{c.lower()}", 0.3 if c == "ID" else 0.05)] for c in kept}
    for c in kept:
        mix[c].append((None, 1 - mix[c][0][1]))
    return pd.DataFrame(rows, columns=["residency", "country"]), mix


def requests(
    origins: pd.DataFrame, world: pd.DataFrame, energy: Energy, mix: dict[str, list]
) -> pd.DataFrame:
    """One row per origin, workload, class, residency and reply-length bin."""
    classes = [
        (row.origin, row.rich, kind, row.weight * share)
        for row in origins.itertuples()
        for kind, share in mix.get(row.countrycode, [(None, 1.0)])
    ]
    where = pd.DataFrame(classes, columns=["origin", "rich", "residency", "weight"])
    table = where.merge(_per_unit(world, energy), how="cross")
    units = table["weight"] * table["calls"] / CALLS_PER_UNIT
    keep = units >= SMALLEST_GROUP
    # what the dropped groups would have asked for goes to the groups of their workload and class
    kind = [table["workload"], table["slo"]]
    total, kept = units.groupby(kind).transform("sum"), (units * keep).groupby(kind)
    units *= total / kept.transform("sum")
    table = table.assign(count=np.maximum(units.round(), 1).astype("int64"))[keep]
    table["latency_budget_ms"] = table["slo"].map(CLASS_BUDGET_MS)
    table["client_rtt_ms"] = np.where(table["rich"], CLIENT_MS_HIGH, CLIENT_MS_OTHER)
    by = ["origin", "workload", "slo", "residency", "bin"]
    table = table.sort_values(by, na_position="first", ignore_index=True)
    table["request_id"] = np.arange(len(table), dtype="int32")
    return table


def _per_unit(world: pd.DataFrame, energy: Energy) -> pd.DataFrame:
    """Energy, accelerator time and bytes of one unit (100 calls) of each flow."""
    size = world["workload"].map(SIZE_OF)
    tokens = CALLS_PER_UNIT * world["out_tokens"]
    streamed = world["slo"].isin(["B", "C"])
    per_token = np.where(streamed, STREAM_BYTES_PER_TOKEN, PLAIN_BYTES_PER_TOKEN)
    reply = CALLS_PER_UNIT * REPLY_BYTES + tokens * per_token
    text = CALLS_PER_UNIT * world["in_tokens"] * TEXT_BYTES_PER_TOKEN
    session = np.where(world["slo"] == "D", 0.0, CALLS_PER_UNIT * SESSION_BYTES)
    return world.assign(
        energy_kwh=_digits(tokens * size.map(energy.kwh_per_token)),
        use_gpu_h=_digits(tokens * size.map(energy.gpu_h_per_token)),
        egress_gb=_digits(reply / 1e9),
        state_gb=_digits((text + session) / 1e9),
    )


def _digits(values: pd.Series) -> np.ndarray:
    """Four significant digits: no source here has more, and they compress."""
    return np.array([float(f"{v:.4g}") for v in values])
