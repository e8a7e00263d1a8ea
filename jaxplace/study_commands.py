"""The commands `frontier`, `audit` and `explain`: options in, files and tables out."""

import gc
import sys
import time
from pathlib import Path
from typing import Any

from jaxplace import atomic, config, runtime
from jaxplace.errors import InputError
from jaxplace.settings import Device, Settings


SHOWN_CLOSINGS = 15
SHOWN_OPTIONS = 25


def _instance(options: Any, hour: str | None, policy: Any, progress: Any) -> Any:
    """Read the scenario's hour; JAX is started only then."""
    from jaxplace import console
    from jaxplace.scenario import load_scenario
    from jaxplace.scenario.demo import folder_of

    if options.device is Device.gpu:
        runtime.device_name(options.device)  # say so before the tables are read
    source = folder_of(options.scenario)
    progress.stage(f"Reading {console.printable(source)}")
    instance = load_scenario(source).at(hour, policy)
    gc.freeze()  # what is there now stays; see `cli`
    gc.enable()
    return instance


def _notes(*notes: str) -> None:
    """Notes on stderr, each once."""
    from jaxplace import console

    for note in dict.fromkeys(notes):
        console.say(f"note: {console.printable(note)}")


def frontier(words: list[str], folder: Path | None) -> int:
    """Solve the hour along a list of latency budgets."""
    return _study("frontier", words, folder)


def audit(words: list[str], folder: Path | None) -> int:
    """Close every region, grid zone or country in turn."""
    return _study("audit", words, folder)


def _study(command: str, words: list[str], folder: Path | None) -> int:
    """Run a study of one hour, save it, and show it."""
    options, whole = config.load(command, words, folder)
    settings, policy = config.settings(options), config.policy(options)
    runtime.prepare(settings.device)
    runtime.compile_beside()
    from jaxplace import console
    from jaxplace.studies import audit, files, frontier, tables

    save: Any
    show: Any
    marker, save, show = {
        "frontier": (files.FRONTIER, files.save_frontier, tables.show_frontier),
        "audit": (files.AUDIT, files.save_audit, tables.show_audit),
    }[command]
    target = atomic.check_target(Path(options.out or config.run_folder(whole)), marker=marker)
    with console.Progress() as progress:
        instance = _instance(options, options.hour, policy, progress)
        found: Any
        if command == "frontier":
            found = frontier.frontier(
                instance, settings, options.frontier, progress=progress, stage=progress.stage
            )
        else:
            found = audit.audit(
                instance, settings, options.audit, progress=progress, steps=progress.steps
            )
    _notes(*instance.notes, *getattr(found, "notes", ()))
    extra = {"config.yaml": config.as_yaml(whole)}
    figures = save(found, target, seconds=runtime.process_age_s, extra=extra)
    if options.json:
        sys.stdout.write(files.to_json(figures))
    else:
        show(found, target)
    return 0 if found.worst_gap <= settings.gap_target else 1


def explain(words: list[str], folder: Path | None) -> int:
    """Say why a request runs where it does, or what fills a region."""
    options, whole = config.load("explain", words, folder)
    settings, policy = config.settings(options), config.policy(options)
    if (options.request is None) == (options.region is None):
        raise InputError("`jaxplace explain` needs one of `request=ID` and `region=ID`")
    runtime.prepare(settings.device)
    from jaxplace import console
    from jaxplace.studies import files, tables
    from jaxplace.studies.explain import explain as answer

    out = options.out and atomic.check_target(Path(options.out), marker=files.EXPLAIN)
    hour, plan = options.hour, None
    if options.plan is not None:
        from jaxplace.studies.saved import read_summary

        plan = Path(options.plan)
        told = read_summary(plan)
        hour, policy = told["hour"], told["policy"]
        options.scenario = options.scenario or config.scenario_of(plan)
    started = time.perf_counter()
    with console.Progress() as progress:
        instance = _instance(options, hour, policy, progress)
        placement = _placement(plan, instance, settings, progress)
    found = answer(placement, request=options.request, region=options.region)
    figures = files.explain_figures(found, placement, time.perf_counter() - started)
    if out:
        extra = {"config.yaml": config.as_yaml(whole)}
        files.save_explanation(found, placement, figures, out, extra=extra)
    if options.json:
        sys.stdout.write(files.to_json(figures))
    else:
        tables.show_explanation(found, placement, out)
    return 0 if placement.certificate.gap <= settings.gap_target else 1


def _placement(plan: Path | None, instance: Any, settings: Settings, progress: Any) -> Any:
    """The plan of a folder, or a new one."""
    if plan is not None:
        from jaxplace.studies.saved import read_plan

        return read_plan(plan, instance)
    from jaxplace import pipeline

    progress.stage("Solving")
    return pipeline.solve(instance, settings, progress=progress)
