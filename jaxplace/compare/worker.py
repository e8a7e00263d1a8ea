"""One method in a process of its own: `python -m jaxplace.compare.worker FOLDER`.

FOLDER holds `instance.pickle` and `job.pickle`, and gets `reply.pickle`, whole or not at all.  The
runner that started the process is the only one to read it.
"""

import importlib
import importlib.util
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

from jaxplace import runtime
from jaxplace.compare.answer import Answer, Job, NotApplicable, Reply, Task


def main(folder: Path) -> None:
    """Run the job of a folder."""
    runtime.prepare()  # before anything imports JAX
    job: Job = pickle.loads((folder / "job.pickle").read_bytes())
    instance = pickle.loads((folder / "instance.pickle").read_bytes())
    started = time.perf_counter()
    try:
        reply = _reply(job, instance, started)
    except MemoryError as error:
        reply = _without("out_of_memory", str(error), started)
    except NotApplicable as error:
        reply = _without("not_applicable", str(error), started)
    except TimeoutError as error:
        reply = _without("timed_out", str(error), started)
    except Exception as error:  # noqa: BLE001  whatever a solver raises is its failure, not ours
        reply = _without("failed", f"{type(error).__name__}: {error}", started)
    staged = folder / "reply.tmp"
    staged.write_bytes(pickle.dumps(reply))
    staged.rename(folder / "reply.pickle")


def _reply(job: Job, instance: Any, started: float) -> Reply:
    """The method's answer, made whole."""
    for module, package in job.method.packages:
        if importlib.util.find_spec(module) is None:
            return _without("missing", f"pip install {package}", started)
    adapter = getattr(importlib.import_module(job.method.module), job.method.function)
    task = Task(instance, job.settings, job.seed, started, job.time_limit_s)
    answer: Answer = adapter(task)
    method_s = time.perf_counter() - started
    if answer.plan is None and answer.fraction is not None:
        from jaxplace.compare.finish import with_plan

        deadline = started + max(job.time_limit_s, method_s) + job.finish_s
        answer = with_plan(
            instance, answer, candidates=job.candidates, seed=job.seed, deadline=deadline
        )
    finish_s = time.perf_counter() - started - method_s
    outcome = "finished" if answer.done else "timed_out"
    message = "" if answer.plan is not None else "it has no plan to show"
    return Reply(outcome, message, answer, method_s, finish_s, runtime.peak_rss_bytes())


def _without(outcome: str, message: str, started: float) -> Reply:
    """A reply without an answer; its message on one line."""
    spent = time.perf_counter() - started
    return Reply(outcome, " ".join(message.split())[:300], None, spent, 0.0,
                 runtime.peak_rss_bytes())  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # a solver's threads or atexit hooks must not hold up the next method
