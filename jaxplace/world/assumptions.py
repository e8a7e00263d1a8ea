"""What is real and what is assumed in a made scenario: written into its tables and its README."""

import json

from jaxplace.world.settings import GenerateSettings


KEY = b"jaxplace_assumptions"

ASSUMED: dict[str, list[str]] = {
    "requests": [
        "A row is made: one user's session of calls within the hour, not a logged request.",
        "Tokens per call are drawn from measured quantiles of the ServeGen clients, within the "
        "measured 1 % and 99.9 %; the share of each service and the model it calls are assumed.",
        "Calls per session are log-normal with median 30 (log sd 0.4 light, 1.2 heavy), at "
        "most 300,000 output tokens in all: assumed.",
        "Energy and GPU time per token follow the EcoLogits regression at batch 64; a prompt token "
        "counts as 0.05 of an output token: assumed.",
        "Latency classes, the clients' own RTT, egress, state, residency shares and the current "
        "region (80 % at one of the 16 nearest by size, 15 % at any of them, 5 % new) are assumed.",
        "A latency class that fewer than three hosting regions can keep is replaced by the next.",
    ],
    "regions": [
        "PUE is assumed: 1.08 plus a warm-climate term by latitude, plus 0.1 for colocation and "
        "0.3 for edge sites, plus noise.",
        "Capacity is assumed: tiers 50 : 5 : 1 times log-normal noise, laid where demand may go, "
        "`tightness` times the demand in all.",
        "Metros and cities stand for colocation and edge sites; no such site need exist.",
        "Grid zones are assigned by nearest reference city.",
    ],
    "origins": ["Demand per city is inhabitants x an assumed use of AI x the local hour's rate."],
    "latency": [
        "RTTs are the anchor model's (69 measured cloud regions) with log-normal noise, not "
        "measurements: median absolute error of the model 16.7 ms on city pairs of 2018.",
    ],
    "signals": [
        "Hourly shapes are those of 2022, levels those of 2024; a zone without series takes a "
        "donor's, shifted by time zone; price levels without a market are assumed.",
        "Spikes and negative prices are added to the asked shares of zone-hours.",
        "Marginal carbon is the country's IFI operating margin of 2021 with noise of 10 %.",
    ],
    "demand": ["Every city follows one measured daily profile (ServeGen m-small) by local hour."],
    "transfer": [
        "Between clouds: medians of list prices by provider and continent (2022-23).  All other "
        "pairs are assumed.",
    ],
    "residency": [
        "Country groups were written from general knowledge, not from a source; no legal advice."
    ],
    "hosting": [
        "Which region hosts which model, hardware generations and service times are assumed."
    ],
}

_README = """# A scenario made by `jaxplace generate`

{size}. Everything follows from the settings and the seed in `generated.json`: the same settings
and the same version give the same bytes.

No real operator's requests, regions or capacities are in here. Real are: the coordinates of cloud
regions, metros and cities; the RTT between 69 cloud regions; hourly prices and carbon of 2022 and
their levels of 2024; the token lengths and rates of the ServeGen clients; list prices of egress.

## What is assumed

{assumed}

## Sources

Skyplane (RTT, egress; Apache-2.0); cloud-regions-info and Cloudflare metros (MIT); GeoNames
(cities; CC BY 4.0, https://www.geonames.org); Electricity Maps (carbon; ODbL 1.0,
https://www.electricitymaps.com); IFI/UNFCCC by the Green Web Foundation (marginal carbon; CC BY-SA
4.0); SustainCluster (prices; MIT), EIA (public domain), Eurostat (CC BY 4.0); ServeGen
(Apache-2.0); EcoLogits (the numbers of its regression). `signals` is a produced work and derived
database of Electricity Maps' data: pass it on under ODbL 1.0.
"""


def metadata(name: str) -> dict[bytes, bytes]:
    """Schema metadata that goes with a table."""
    return {KEY: json.dumps(ASSUMED[name]).encode()}


def readme(settings: GenerateSettings, tables: list[str]) -> str:
    """The text of the scenario's README.md."""
    n, m, o = settings.rows()
    size = f"{settings.classes or n:,} requests from {o:,} cities, {m:,} regions, seed "
    assumed = "\n".join(f"- `{t}`: {line}" for t in tables for line in ASSUMED[t])
    return _README.format(size=f"{size}{settings.seed}", assumed=assumed)
