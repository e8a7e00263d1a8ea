"""The machine under a run: device choice, compile caches, versions, memory, the clock.

`prepare` has to run before anything imports JAX, because JAX reads its platform and its cache
folder from the environment once.
"""

import atexit
import contextlib
import functools
import hashlib
import importlib.util
import os
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from jaxplace.errors import InputError
from jaxplace.settings import Device


if TYPE_CHECKING:
    import jax
    import numpy as np


SHOWN = ("jaxplace", "jax", "jaxlib", "numba", "numpy", "pandas", "pyarrow", "hydra-core")
COMPILE_EVENTS = (
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)
_IMPORTED_AT = time.monotonic()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in SHOWN:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            continue
    return found


def cache_folder() -> Path:
    """Where compiled kernels are kept: `$XDG_CACHE_HOME/jaxplace`, or below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "jaxplace"


def _loops() -> str:
    """A name for the state of the loops that are copied into each other across files.

    Numba looks at a function's own file only when it decides whether its machine code is stale.
    """
    folders = [Path(__file__).parent / name for name in ("kernels", "repair")]
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    stamps = [(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files]
    return hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]


def prepare(device: Device = Device.auto) -> None:
    """Choose JAX's platform and the compile caches through the environment; imports nothing heavy.

    Call it before JAX is imported.  A platform or cache folder that the user set in the
    environment is left alone, except that `device=cpu` and `device=gpu` are orders.
    """
    if device is Device.cpu:
        os.environ["JAX_PLATFORMS"] = "cpu"
    elif device is Device.gpu:
        os.environ["JAX_PLATFORMS"] = "cuda,cpu"
    try:
        folder = cache_folder()
        (folder / "xla").mkdir(parents=True, exist_ok=True)
        writable = os.access(folder / "xla", os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # no home, a read-only disk: compile each time, say nothing
        return
    if not writable:
        return
    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder / "numba" / _loops()))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "xla")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def compile_beside() -> subprocess.Popen[bytes] | None:
    """On the first run ever, have a second process compile what is needed last.

    Call `prepare` first.

    Returns:
        That process, for who would rather wait for it; None if nothing is to be compiled.
    """
    global _beside
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if folder is None or Path(folder).exists() or _beside is not None:
        return _beside
    with contextlib.suppress(OSError):  # no second process: compiled in turn
        _beside = subprocess.Popen(
            [sys.executable, "-m", "jaxplace.repair.rehearsal"],
            env={**os.environ, "JAX_PLATFORMS": "cpu"},  # loops are the host's
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        atexit.register(_beside.poll)
    return _beside


_beside: subprocess.Popen[bytes] | None = None
_compiled_s = 0.0


def compile_seconds() -> float:
    """Seconds that this process has spent compiling JAX's programs, as far as they are counted."""
    return _compiled_s


def count_compilations() -> None:
    """From now on; loads JAX."""
    global _listening
    if not _listening:
        from jax import monitoring

        monitoring.register_event_duration_secs_listener(_on_event)
        _listening = True


_listening = False


def _on_event(event: str, duration_secs: float, **_: object) -> None:
    global _compiled_s
    if event in COMPILE_EVENTS:
        _compiled_s += duration_secs


def platform() -> str:
    """The platform that JAX computes on: "cpu", "gpu" or another's name.

    JAX takes a while to load, so it is asked only where it may find more than the CPU.

    Raises:
        InputError: the environment names a platform that JAX does not find.
    """
    if "jax" not in sys.modules and not _beyond_cpu():
        return "cpu"
    import jax

    try:
        return jax.default_backend()
    except RuntimeError as error:
        raise InputError(_no_gpu(Device.auto, str(error).splitlines()[0])) from error


def _beyond_cpu() -> bool:
    """Whether JAX may find an accelerator: one is named, or a plugin for one is installed."""
    named = os.environ.get("JAX_PLATFORMS", "")
    return named != "cpu" if named else _plugins()


@functools.cache
def _plugins() -> bool:
    found = any(importlib.util.find_spec(name) for name in ("jax_plugins", "libtpu"))
    return found or bool(metadata.entry_points(group="jax_plugins"))


def to_device(values: "np.ndarray") -> "jax.Array":
    """The array where JAX computes."""
    import jax

    return jax.device_put(values)


def device_name(device: Device = Device.auto) -> str:
    """Name of the device that JAX computes on, such as "cpu" or "gpu (NVIDIA H100)".

    Raises:
        InputError: `device` is gpu and JAX finds none.
    """
    if device is not Device.gpu and platform() == "cpu":
        return "cpu"
    import jax

    try:
        found = jax.devices()[0]
    except RuntimeError as error:
        raise InputError(_no_gpu(device, str(error).splitlines()[0])) from error
    if device is Device.gpu and found.platform != "gpu":
        raise InputError(_no_gpu(device, f"it offers {found.platform} only"))
    if found.platform == "cpu":
        return "cpu"
    return f"{found.platform} ({found.device_kind})"


def _no_gpu(device: Device, why: str) -> str:
    """The message for a device that JAX cannot give."""
    return (
        f"`device={device.value}`: JAX finds no such device ({why}). Use `device=auto` or "
        "`device=cpu`, or install the GPU build with `pip install 'jaxplace[cuda]'`"
    )


def peak_rss_bytes() -> int:
    """Most memory that this process has held so far [bytes].

    Linux hands `ru_maxrss` on to whatever a process starts, so a run started by a larger program
    would report that one's peak; VmHWM begins anew with the program.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024  # in KiB
    except (OSError, ValueError, IndexError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts KiB


def process_age_s() -> float:
    """Seconds since this process started; since this module's import where /proc is missing."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED_AT
