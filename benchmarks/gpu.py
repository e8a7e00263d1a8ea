"""What `scripts/gpu_check` runs on the device, a stage per process: rows of results as JSON lines.

    python benchmarks/gpu.py STAGE --rows FILE [--platform cpu] [--size tiny] [--scenario FOLDER]

A row is written as soon as it is known, so that a stage that is stopped leaves what it has.  With
`--platform cpu` the Pallas kernels are interpreted: that tests this file, not their speed.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np


FULL, QUICK, TINY = "full", "quick", "tiny"
SWEEPS = {  # rows, a multiple of 512 as problems are padded, x regions
    FULL: [(262_144, 512), (1_048_576, 1_024), (1_048_576, 4_096), (10_000_384, 4_096)],
    QUICK: [(262_144, 512), (1_048_576, 1_024)],
    TINY: [(512, 32)],
}
SHAPES = [
    (16, 128, 8), (16, 128, 4), (16, 64, 4), (16, 64, 2), (16, 32, 2), (8, 64, 2), (8, 128, 4),
    (32, 64, 4), (32, 32, 4), (32, 64, 8),
]  # fmt: skip
EXP_TILES, EXP_ROUNDS = {FULL: 65_536, QUICK: 65_536, TINY: 4}, 256
COPIED = {FULL: 1 << 30, QUICK: 1 << 30, TINY: 1 << 20}  # bytes
TEMPERATURE = 1e-2
XLA_PAIRS = 1e10  # more would take tens of seconds
REPEATS, LONG_S = 7, 2.0  # calls that take longer are timed once
SCENARIOS = {"large": {}, "fleet": {}, "tiny": {"requests": 2_000, "regions": 40, "origins": 50}}

Emit = Callable[[dict[str, Any]], None]


def device() -> dict[str, Any]:
    """What every row says about the machine."""
    import jax
    import jaxlib

    found = jax.devices()[0]
    return {
        "platform": found.platform,
        "device": found.device_kind,
        "compute_capability": getattr(found, "compute_capability", None),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "python": platform.python_version(),
    }


def roofline(emit: Emit, size: str, interpret: bool) -> None:
    """Exponentials per second in registers, and bytes per second through memory."""
    import jax
    import jax.numpy as jnp
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    tiles = EXP_TILES[size]

    def kernel(values: Any, out: Any) -> None:
        out[...] = jax.lax.fori_loop(0, EXP_ROUNDS, lambda _, x: jnp.exp2(-x), values[...])

    spec = pl.BlockSpec((16, 128), lambda i: (i, 0))
    values = jax.random.uniform(jax.random.key(0), (16 * tiles, 128), jnp.float32)
    exp = pl.pallas_call(
        kernel, grid=(tiles,), in_specs=[spec], out_specs=spec, interpret=interpret,
        out_shape=jax.ShapeDtypeStruct(values.shape, jnp.float32),
        compiler_params=triton.CompilerParams(num_warps=4),
    )  # fmt: skip
    seconds, compiling, _ = timed(jax.jit(exp), values)
    rate = values.size * EXP_ROUNDS / seconds
    emit({"name": "exp", "gexp_per_s": rate / 1e9, "seconds": seconds, "compile_s": compiling})
    array = jnp.arange(COPIED[size] // 4, dtype=jnp.float32)
    seconds, compiling, _ = timed(jax.jit(lambda a: a + 1), array)
    rate = 2 * array.nbytes / seconds
    emit({"name": "copy", "gb_per_s": rate / 1e9, "seconds": seconds, "compile_s": compiling})


def sweeps(emit: Emit, size: str, interpret: bool) -> None:
    """Pairs per second of the sweeps of both backends, and whether they agree."""
    import jax
    import jax.numpy as jnp

    from jaxplace.kernels import pallas, xla

    temperature = jnp.float32(TEMPERATURE)
    with jax.enable_x64(True):
        for n, m in SWEEPS[size]:
            rows, tables, duals = made(n, m)
            row = partial(_sweep_row, emit, n, m)
            respond = jax.jit(partial(pallas.respond, interpret=interpret))
            found = row("respond", "pallas", respond, rows, tables, duals, temperature)
            again = respond(rows, tables, duals, temperature)
            same = all(jax.tree.leaves(jax.tree.map(lambda a, b: (a == b).all(), found, again)))
            emit({"name": "again", "rows": n, "regions": m, "same_bits": same})
            if n * m <= XLA_PAIRS:
                plain = jax.jit(xla.respond)
                wanted = row("respond", "xla", plain, rows, tables, duals, temperature)
                differences = _differences(found, wanted)
                emit({"name": "agreement", "rows": n, "regions": m, **differences})
            best = jax.jit(partial(pallas.best_regions, k=2, interpret=interpret))
            row("best 2 regions", "pallas", best, rows, tables, duals)
        n, m = SWEEPS[size][min(1, len(SWEEPS[size]) - 1)]
        rows, tables, duals = made(n, m)
        for shape in SHAPES[: 1 if size == TINY else None]:
            tuned = partial(pallas.respond, interpret=interpret, shape=pallas.Shape(*shape))
            name = f"respond, tile {'x'.join(map(str, shape))}"
            _sweep_row(emit, n, m, name, "pallas", jax.jit(tuned), rows, tables, duals, temperature)
        some = jax.tree.map(lambda field: field[: min(n, 16_384)], rows)
        curvature = jax.jit(xla.curvature)
        _sweep_row(emit, len(some.weight), m, "curvature", "xla", curvature, some, tables, duals,
                   temperature)  # fmt: skip


def _sweep_row(
    emit: Emit, n: int, m: int, name: str, backend: str, function: Callable, *args: Any
) -> Any:
    seconds, compiling, result = timed(function, *args)
    emit(
        {
            "name": name,
            "backend": backend,
            "rows": n,
            "regions": m,
            "gpairs_per_s": n * m / seconds / 1e9,
            "seconds": seconds,
            "compile_s": compiling,
            "peak_bytes": peak_bytes(),
        }
    )
    return result


def _differences(found: Any, wanted: Any) -> dict[str, float]:
    """Largest difference of each part of two responses, as a share of its largest value."""
    shares = {}
    for name, value in found._asdict().items():
        other = np.asarray(getattr(wanted, name))
        shares[name] = float(np.abs(np.asarray(value) - other).max() / (np.abs(other).max() or 1.0))
    taken, asked = np.asarray(found.load).sum(), np.asarray(wanted.load).sum()
    return {f"{name}_differs": share for name, share in shares.items()} | {
        "total_load_differs": float(abs(taken - asked) / (asked or 1.0))
    }


def made(n: int, m: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Rows, tables and duals with every feature of a fleet's hour, sorted by class as compiled.

    A place has as many rows as in a generated fleet of ten million, some 2,000.
    """
    import jax.numpy as jnp

    from jaxplace.problem import Duals, Rows, Tables

    rng = np.random.default_rng(seed)
    workloads, zones, residencies, origins = 16, 16, 32, max(n // 32_768, 4)
    place = np.sort(rng.integers(0, origins * workloads, n, dtype=np.int32))
    home = rng.integers(-1, m, n, dtype=np.int32)
    home = home[np.lexsort((home % zones, place))]

    def floats(low: float, high: float, *shape: int) -> Any:
        return jnp.asarray(rng.uniform(low, high, shape or (n,)).astype(np.float32))

    use = floats(0.5, 1.5, n, 1)
    rows = Rows(
        weight=jnp.ones(n, jnp.float32), use=use, unplaced=floats(20, 30), scale=use[:, 0],
        energy=floats(0.5, 1.5), egress=floats(0, 1), leave=floats(0, 0.2),
        state=jnp.asarray(np.where(home >= 0, 0.1, 0).astype(np.float32)), home=jnp.asarray(home),
        workload=jnp.asarray(place % workloads), origin_zone=jnp.asarray(place % zones),
        home_zone=jnp.asarray(np.where(home >= 0, home % zones, 0)), place=jnp.asarray(place),
        budget=jnp.asarray(rng.integers(20, 100, n, dtype=np.int32)),
        residency=jnp.asarray(place % residencies),
        fit=None, cost=None, allowed=None, factor=None,
    )  # fmt: skip
    tables = Tables(
        energy=floats(0.5, 2.0, workloads, m), carbon=None, fit=None,
        use_factor=floats(0.8, 1.2, workloads, m), transfer=floats(0, 0.5, zones, m),
        reach=jnp.asarray(rng.integers(0, 100, (origins * workloads, m), dtype=np.int32)),
        legal=jnp.asarray(rng.random((residencies, m)) < 0.9),
    )  # fmt: skip
    return rows, tables, Duals(floats(0, 0.5, m, 1))


def timed(function: Callable, *args: Any) -> tuple[float, float, Any]:
    """Median seconds of a call with the device idle after it, the first call's excess, a result."""
    import jax

    def once() -> tuple[float, Any]:
        start = time.perf_counter()
        result = jax.block_until_ready(function(*args))
        return time.perf_counter() - start, result

    first, result = once()
    seconds = [once()[0]]
    if seconds[0] <= LONG_S:
        seconds += [once()[0] for _ in range(REPEATS - 1)]
    median = statistics.median(seconds)
    return median, max(first - median, 0.0), result


def peak_bytes() -> int | None:
    """Most device memory held so far [bytes]; None where the platform does not say."""
    import jax

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def solve(emit: Emit, name: str, folder: Path, limit_s: float) -> None:
    """A whole solve of a generated scenario, its stages timed; twice if that fits in the limit."""
    import jaxplace
    from jaxplace import runtime
    from jaxplace.kernels import api

    started = time.perf_counter()
    instance = jaxplace.load_scenario(folder).at()
    reading = time.perf_counter() - started

    def watch(point: Any) -> None:
        known = {k: getattr(point, k) for k in ("elapsed_s", "step", "bound", "plan", "overload")}
        emit({"name": name, "checkpoint": point.stage, **known, "peak_bytes": peak_bytes()})

    for run in ("first", "second"):
        left = limit_s - (time.perf_counter() - started)
        if run == "second" and left < 2 * (limit_s - left):
            return
        settings = jaxplace.Settings(time_limit_s=max(0.7 * left, 5.0))
        start = time.perf_counter()
        placement = jaxplace.solve(instance, settings, progress=watch)
        proof, stages = placement.certificate, placement.timings_s
        emit(
            {
                "name": name,
                "run": run,
                "rows": instance.rows,
                "regions": instance.regions,
                "reading_s": reading,
                "solve_s": time.perf_counter() - start,
                "timings_s": stages,
                "relax_round_certify_s": sum(
                    stages.get(k, 0) for k in ("relax", "round", "certify")
                ),
                "gap": proof.gap,
                "feasible": proof.feasible,
                "objective_usd": proof.objective_usd,
                "lower_bound_usd": proof.lower_bound_usd,
                "status": placement.status.name,
                "kernels": api.backend(),
                "peak_bytes": peak_bytes(),
                "peak_rss_bytes": runtime.peak_rss_bytes(),
            }
        )


def scenarios(emit: Emit, names: list[str], folder: Path) -> None:
    """Write the scenarios to solve; needs no device."""
    from jaxplace.generate import GenerateSettings, generate
    from jaxplace.world.settings import Size

    for name in names:
        start = time.perf_counter()
        of = Size.small if name == "tiny" else Size(name)
        generate(GenerateSettings(size=of, seed=7, **SCENARIOS[name]), folder / name)
        emit({"name": f"generate {name}", "seconds": time.perf_counter() - start})


def main() -> int:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["device", "roofline", "sweeps", "scenarios", "solve"])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--platform", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--size", choices=[FULL, QUICK, TINY], default=FULL)
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--limit", type=float, default=120.0)
    given = parser.parse_args()
    on_cpu = given.platform == "cpu" or given.stage == "scenarios"
    os.environ["JAX_PLATFORMS"] = "cpu" if on_cpu else "cuda,cpu"
    from jaxplace import runtime

    runtime.prepare()
    machine: dict[str, Any] = {}
    if given.stage != "scenarios":
        try:
            machine = device()
        except RuntimeError as error:
            machine = {"platform": str(error).splitlines()[0]}
        if not on_cpu and machine["platform"] != "gpu":
            print(f"JAX finds no NVIDIA GPU here ({machine['platform']})", file=sys.stderr)
            return 2

    def emit(row: dict[str, Any]) -> None:
        with given.rows.open("a") as file:
            file.write(json.dumps({"stage": given.stage, **row, **machine}) + "\n")

    if given.stage == "device":
        emit({"name": "device"})
    elif given.stage == "roofline":
        roofline(emit, given.size, on_cpu)
    elif given.stage == "sweeps":
        sweeps(emit, given.size, on_cpu)
    elif given.stage == "scenarios":
        scenarios(emit, given.scenario, given.folder)
    else:
        solve(emit, given.scenario[0], given.folder / given.scenario[0], given.limit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
