"""Each method in a process of its own, one after the other, with limits on time and memory."""

import contextlib
import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from jaxplace.compare.answer import Job, Reply
from jaxplace.compare.judge import Row, judged, settled
from jaxplace.compare.methods import METHODS, Method
from jaxplace.compare.settings import CompareSettings, Plain
from jaxplace.errors import InputError
from jaxplace.instance import Instance


LOOK_S = 0.05  # between looks at a process
FINISH = 0.5  # share of the grace that the common rounding may take
GB = 1e9


def compare(
    instances: Mapping[str, Instance],
    methods: Mapping[str, Method],
    settings: CompareSettings | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Run every method on every instance.

    Args:
        instances: by name.
        methods: by name; `chosen` gives those that come with jaxplace.
        settings: limits, and each method's settings.
        progress: told what goes on, a line at a time.

    Returns:
        A row for each pair, certified; a method that fails, hangs or lies has one too.
    """
    settings = settings or CompareSettings()
    rows: list[Row] = []
    for name, instance in instances.items():
        slim = dataclasses.replace(
            instance,
            request_id=np.arange(len(instance.request_id)),
            places=None,
            notes=(),
        )
        own: list[Row] = []
        with tempfile.TemporaryDirectory(prefix="jaxplace-compare-") as scratch:
            folder = Path(scratch)
            (folder / "instance.pickle").write_bytes(pickle.dumps(slim, protocol=5))
            for label, method in methods.items():
                if progress is not None:
                    progress(f"{name}: {label} ({method.words})")
                row = _blank(name, slim, label, settings)
                reply = _run(folder, label, method, settings)
                own.append(judged(row, slim, reply))
        rows += settled(own, gap_target=settings.gap_target)
    return rows


def chosen(names: list[str]) -> dict[str, Method]:
    """The methods of these names, in their order; all of them for no names.

    Raises:
        InputError: an unknown name.
    """
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise InputError(
            f"`methods`: no method {', '.join(unknown)}. There are {', '.join(METHODS)}"
        )
    return {name: METHODS[name] for name in names or METHODS}


def _blank(name: str, instance: Instance, label: str, settings: CompareSettings) -> Row:
    """What is known before the method runs."""
    own = getattr(settings.method, label, Plain())
    return Row(
        instance=name,
        requests=len(instance.request_id),
        regions=instance.regions,
        resources=len(instance.resources),
        units=int(instance.count.sum()),
        method=label,
        settings={k: getattr(v, "value", v) for k, v in dataclasses.asdict(own).items()},
        seed=settings.seed,
        time_limit_s=settings.time_limit_s,
        outcome="failed",
        message="",
    )


def _run(folder: Path, label: str, method: Method, settings: CompareSettings) -> Reply:
    """The reply of a method's process, or what its end says."""
    job = Job(
        method=method,
        settings=getattr(settings.method, label, Plain()),
        seed=settings.seed,
        time_limit_s=settings.time_limit_s,
        candidates=settings.candidates,
        finish_s=FINISH * settings.grace_s,
    )
    (folder / "job.pickle").write_bytes(pickle.dumps(job))
    reply, log = folder / "reply.pickle", folder / "log.txt"
    reply.unlink(missing_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jaxplace.compare.worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
        killed, seconds, peak = _watch(process, settings)
    if reply.exists():
        said: Reply = pickle.loads(reply.read_bytes())
        return said
    if killed:
        return Reply(*killed, None, seconds, 0.0, peak)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    code = process.returncode
    if code == -signal.SIGKILL:  # not by us: the system's own guard of memory
        return Reply("out_of_memory", "the system ended it", None, seconds, 0.0, peak)
    ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
    message = f"it ended with {ended} and no answer: {last[0][:200]}"
    return Reply("failed", message, None, seconds, 0.0, peak)


def _environment() -> dict[str, str]:
    """The process finds the same packages, whatever the folder it runs in."""
    paths = [str(Path(p).resolve()) for p in sys.path if p] + [os.getcwd()]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _watch(
    process: subprocess.Popen, settings: CompareSettings
) -> tuple[tuple[str, str] | None, float, int]:
    """Wait for its end or for a limit: (outcome, message) if killed; seconds; peak [bytes]."""
    started, peak = time.perf_counter(), 0
    limit = settings.time_limit_s + settings.grace_s
    try:
        while True:
            seconds = time.perf_counter() - started
            try:
                process.wait(LOOK_S)
                return None, seconds, peak
            except subprocess.TimeoutExpired:
                pass
            peak = max(peak, _rss_bytes(process.pid))
            if seconds > limit:
                return ("timed_out", f"killed after {limit:g} s without an answer"), seconds, peak
            if peak > settings.memory_limit_gb * GB:
                message = f"killed at {peak / GB:.1f} GB; `memory_limit_gb` is the limit"
                return ("out_of_memory", message), seconds, peak
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """Kill the process and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _rss_bytes(pid: int) -> int:
    """Resident memory of a process [bytes]; 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
