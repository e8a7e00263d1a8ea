"""The models that requests call: size, energy and time per token.

Energy and time follow EcoLogits 0.11.3, a regression on ML.ENERGY measurements: per output token,
a GPU spends ``alpha exp(beta B) P + gamma`` Wh and a request takes ``a P + b B + c`` seconds, with
``P`` the active parameters in billions and ``B`` the batch.  Only its numbers are used here.
"""

from dataclasses import dataclass

import numpy as np


BATCH = 64
WH_SLOPE, WH_BATCH, WH_BASE = 1.1665273e-6, -1.1205921e-2, 4.0529281e-5
S_SLOPE, S_BATCH, S_BASE = 6.785088e-4, 3.119310e-4, 1.9473718e-2
SERVER_GPUS, SERVER_W = 8, 1200.0  # a server without its GPUs
PROMPT_WEIGHT = 0.05  # assumed: energy of a prompt token over that of an output token


@dataclass(frozen=True)
class Model:
    """A model that regions host.

    Attributes:
        name: as in the column `workload`.
        active_b: active parameters [billions].
        gpus: of one replica, at 80 GB each.
        first_token_ms: time to serve on current hardware, assumed [ms].
        memory_gb_per_ktoken: KV cache of a thousand tokens of context, assumed [GB].
    """

    name: str
    active_b: float
    gpus: int
    first_token_ms: float
    memory_gb_per_ktoken: float

    @property
    def kwh_per_token(self) -> float:
        """IT energy of an output token: GPUs and the server's share [kWh]."""
        gpu_wh = WH_SLOPE * np.exp(WH_BATCH * BATCH) * self.active_b + WH_BASE
        server_wh = self.seconds_per_token * SERVER_W * self.gpus / SERVER_GPUS / BATCH / 3600
        return float(self.gpus * gpu_wh + server_wh) / 1000

    @property
    def seconds_per_token(self) -> float:
        """Time of an output token within a batch [s]."""
        return S_SLOPE * self.active_b + S_BATCH * BATCH + S_BASE

    @property
    def gpu_s_per_token(self) -> float:
        """Time of the replica's GPUs that an output token takes up [GPU s]."""
        return self.seconds_per_token * self.gpus / BATCH


MODELS = (
    Model("dense-8b", 8, 1, 25, 0.13),
    Model("dense-24b", 24, 1, 40, 0.16),
    Model("dense-70b", 70, 4, 70, 0.32),
    Model("moe-235b", 22, 8, 80, 0.19),
    Model("moe-671b", 37, 16, 110, 0.07),
)

# assumed: share of traffic by measured service, and the models that it calls
SERVICE_SHARE = np.array([0.35, 0.35, 0.20, 0.10])
SERVICE_CALLS = np.array(
    [
        [0.7, 0.3, 0.0, 0.0, 0.0],
        [0.0, 0.6, 0.4, 0.0, 0.0],
        [0.0, 0.0, 0.5, 0.5, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
    ]
)

# assumed latency classes: budget from the client to the first token [ms], and who asks for them
BUDGET_MS = np.array([150.0, 300.0, 600.0, np.inf])
BUDGET_SHARE = np.array(
    [
        [0.35, 0.40, 0.15, 0.10],
        [0.25, 0.45, 0.20, 0.10],
        [0.10, 0.50, 0.25, 0.15],
        [0.00, 0.45, 0.35, 0.20],
        [0.00, 0.35, 0.40, 0.25],
    ]
)

# assumed hardware generations: (use, energy, service time) over those of the newest
HARDWARE = np.array([[1.0, 1.0, 1.0], [1.35, 1.25, 1.2], [1.9, 1.6, 1.5]])
# assumed: which tier has which generation, and hosts which model
TIERS = ("hyperscale", "colo", "edge")
TIER_HARDWARE = np.array([[0.6, 0.3, 0.1], [0.3, 0.4, 0.3], [0.1, 0.4, 0.5]])
TIER_HOSTS = np.array(
    [[1.0, 1.0, 1.0, 0.9, 0.7], [1.0, 0.95, 0.7, 0.4, 0.15], [1.0, 0.7, 0.25, 0.05, 0.0]]
)
TIER_CAPACITY = np.array([50.0, 5.0, 1.0])
TIER_PUE = np.array([0.0, 0.1, 0.3])
