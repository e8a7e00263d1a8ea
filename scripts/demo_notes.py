"""What the demo's tables say about themselves: assumptions and sources, in plain sentences."""

import pandas as pd


REQUEST_COLUMNS = [
    "request_id",
    "origin",
    "workload",
    "count",
    "energy_kwh",
    "use_gpu_h",
    "latency_budget_ms",
    "client_rtt_ms",
    "egress_gb",
    "state_gb",
    "current_region",
    "residency",
]

SKYPLANE = "Skyplane 2022 measurements and list prices (skyplane-project/skyplane), Apache-2.0"
SERVEGEN = "ServeGen, Alibaba Cloud Model Studio 2025 (arXiv:2505.09999), Apache-2.0"
ECOLOGITS = "EcoLogits 0.11.3, regression coefficients and model sizes, MPL-2.0"
GEONAMES = "GeoNames cities with 15,000 inhabitants or more, CC BY 4.0"
CLOUD_REGIONS = "cloud-regions-info 1.0.1, coordinates of cloud regions, MIT"
LUO_YANG = "Luo & Yang 2026 (arXiv:2604.27855), latency classes as reported; paper not read"
GROUPS = "Jurisdiction groups from general knowledge, CC BY 4.0, with GeoNames countries"

ASSUMPTIONS: dict[str, list[str]] = {
    "requests": [
        "One unit is 100 calls in the hour; ServeGen's measured call rates are multiplied by 10.",
        "Class shares are assumed: 20 % of all calls are offline (D); of calls whose reply is "
        "short enough for class A, then B, 70 % are in that class; the others are C, or D where "
        "the reply is too long for C.",
        "ServeGen's services do not say their model sizes: m-small is taken as 2.6 and 8.0, m-mid "
        "as 8.0 and 32.3, m-large as 32.3 and 70.6, deepseek-r1 as 140.6 (39.1 active) billion "
        "parameters.",
        "Clients of ServeGen without token data (also its largest) have the reply lengths of the "
        "other clients of their service.",
        "Energy is EcoLogits' regression at batch 8 (instant), 16 (short) and 64 (long), on "
        "output tokens alone and without PUE; use_gpu_h is its latency regression times its GPU "
        "count over the batch, so every accelerator is taken to run full batches.",
        "Access network 10 ms in high-income countries, else 25 ms: assumed.",
        "Reply size 1 kB and 250 bytes a token where streamed (B, C), else 5 bytes a token; state "
        "4 bytes a prompt token and 10 kB of session (A, B, C): assumed.",
        "Residency shares by country are assumed and no legal advice.",
        "current_region is what a nearest-first operator would do at the mean demand; a tenth of "
        "the requests, drawn at random, run nowhere yet.",
    ],
    "regions": [
        "PUE is assumed, not measured: 1.10 cool, 1.20 warm, 1.30 hot and humid.",
        "Capacity is assumed: a lognormal draw (sigma 0.8) times a size that follows the demand "
        "nearby (70 %) or is the same everywhere (30 %); in all 1.4 times the demand of the "
        "week's busiest hour.",
        "Grid zone and price market of each region were assigned by hand from its location.",
    ],
    "origins": [
        "A metro is a city and all within 40 km of it in the same country; the 300 are those with "
        "the most users, taken as inhabitants times 4 in high-income countries, times 0.5 in "
        "Africa; at most 40 a country.",
        "Left out: mainland China, served from regions that are not among the 69; and Cuba, Iran, "
        "North Korea and Syria, taken as not served.",
    ],
    "latency": [
        "RTT from a metro to a region is modelled (anchor model, median error 17 ms on 57,284 "
        "city pairs of 2018) on the RTT measured between the 69 regions.",
    ],
    "signals": [
        "Carbon is life-cycle and average; the marginal column is the country's 2021 operating "
        "margin times 1 + 0.1 times the standardised anomaly of the average: modelled.",
        "Hong Kong has no operating margin of its own: China's is used.",
        "Bahrain and the United Arab Emirates have no hourly carbon: the yearly mean, flat.",
        "Hourly carbon of JP-TK is an estimate, and that of HK and ID almost flat, at the source.",
        "No price or carbon hour of this week is missing at the source.",
        "Prices are wholesale of the crisis year 2022 at one fixed exchange rate; ZA is a "
        "time-of-use tariff and BR-SP lies on the regulatory floor.",
        "Where a grid zone is named ZONE~MARKET, the price is that of a proxy market, rescaled by "
        "the ratio of industrial price levels where both are known (EIA 2022, Eurostat 2024/25).",
    ],
    "demand": [
        "The hours of the day are ServeGen's three text services (14 days, each counted alike), "
        "at each origin's local time; hour 0 of the trace is taken as midnight, and all "
        "workloads, offline too, follow the same day.",
    ],
    "transfer": [
        "A row from internet-CONTINENT is what the region charges to send to that continent: the "
        "median of its list prices to other clouds there (no such region there: to all).",
        "List prices without volume discounts, between clouds as on the public Internet.",
    ],
    "residency": ["Country groups were written from general knowledge: verify before use."],
    "hosting": [
        "service_ms is the time of a workload's longest reply at its batch (EcoLogits' latency "
        "regression) and an assumed 20 ms + 2 ms per billion active parameters to read the "
        "prompt; replies of class D may take longer and still fit the hour.",
        "The longest reply leaves 100 ms (A), 140 ms (B) and 2 s (C) to the network: assumed, so "
        "that A is near, B regional, C and D free.",
        "Hosting is assumed: 141b-moe-long in the largest 45 % of the regions, 70b-long in 75 %, "
        "32b-long in 90 %, the others everywhere.",
    ],
}

SOURCES: dict[str, list[str]] = {
    "requests": [SERVEGEN, ECOLOGITS, LUO_YANG, GEONAMES, GROUPS],
    "regions": [CLOUD_REGIONS],
    "origins": [GEONAMES],
    "latency": [SKYPLANE, GEONAMES, CLOUD_REGIONS],
    "signals": [
        "carbon_g_per_kwh: Electricity Maps 2022, ODbL 1.0, via umassos/decarbonization-potential",
        "carbon_marginal_g_per_kwh: IFI/UNFCCC 2021 via The Green Web Foundation CO2.js, "
        "CC BY-SA 4.0; its hourly shape from Electricity Maps, ODbL 1.0",
        "price_usd_per_mwh: market results via HewlettPackard/sustain-cluster, MIT; the market "
        "operators' own terms were not checked",
        "rescaling of proxies: U.S. Energy Information Administration, public domain; Eurostat "
        "nrg_pc_205, CC BY 4.0",
    ],
    "demand": [SERVEGEN, GEONAMES],
    "transfer": [SKYPLANE],
    "residency": [GROUPS],
    "hosting": [ECOLOGITS, LUO_YANG],
}


def proxies(rows: pd.DataFrame) -> str:
    """One sentence that names every grid zone whose price is a proxy, and its scale."""
    said = []
    for row in rows.sort_values("em_zone").itertuples():
        how = "unscaled" if row.scale == 1 else f"x {row.scale:g}"
        said.append(f"{row.em_zone} by {row.price_zone} ({how})")
    return "Prices by proxy market: " + ", ".join(said) + "."


def borrowed(names: list[str]) -> str:
    """One sentence that names every region without list prices of its own."""
    return "List prices borrowed from the provider's nearest region: " + ", ".join(names) + "."
