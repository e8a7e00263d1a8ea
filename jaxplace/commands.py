"""What each command does once its options are typed; returns the exit code of CONTRACT 4.

JAX reads its platform once, so whatever imports it is imported here after `runtime.prepare`.
"""

import dataclasses
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from jaxplace import config, runtime
from jaxplace.errors import InputError, OutputError
from jaxplace.instance import Instance
from jaxplace.settings import Device
from jaxplace.status import Status


def solve(words: list[str], folder: Path | None) -> int:
    """Plan one hour of a scenario and write the files of CONTRACT 5."""
    options, whole = config.load("solve", words, folder)
    settings, policy = config.settings(options), config.policy(options)
    runtime.prepare(settings.device)
    runtime.compile_beside()
    from jaxplace import console, output
    from jaxplace.scenario import load_scenario
    from jaxplace.scenario.demo import folder_of

    target = output.check_target(options.out or config.run_folder(whole))
    if settings.device is Device.gpu:
        runtime.device_name(settings.device)  # say so before the tables are read
    spent, clock = {}, time.perf_counter()
    with console.Progress() as progress:
        source = folder_of(options.scenario)
        progress.stage(f"Reading {console.printable(source)}")
        scenario = load_scenario(source)
        spent["load"], clock = time.perf_counter() - clock, time.perf_counter()
        instance = scenario.at(options.hour, policy)
        spent["validate"] = time.perf_counter() - clock
        progress.stage(
            f"Solving {len(instance.request_id):,} requests x {instance.regions:,} regions, "
            f"hour {instance.hour}, seed {settings.seed}"
        )
        from jaxplace import pipeline  # JAX: not before the tables are known to be good

        gc.freeze()  # what is there now stays; see `cli`
        gc.enable()
        placement = pipeline.solve(instance, settings, progress=progress)
    for note in dict.fromkeys(placement.instance.notes):
        console.say(f"note: {console.printable(note)}")
    placement = dataclasses.replace(placement, timings_s={**spent, **placement.timings_s})
    if not placement.certificate.feasible:
        faults = "; ".join(placement.certificate.violations)
        raise OutputError(f"The plan is not feasible, so it was not written: {faults}")
    done = output.save(
        placement,
        target,
        total_s=runtime.process_age_s,
        extra={"config.yaml": config.as_yaml(whole)},
    )
    if options.json:
        # the file itself: what the process holds by now is another figure
        sys.stdout.write((target / output.MARKER).read_text(encoding="utf-8"))
    else:
        console.show(done, target)
    good = done.certificate.gap <= settings.gap_target and done.status is not Status.over_budget
    return 0 if good else 1


def compare(words: list[str], folder: Path | None) -> int:
    """Run other solvers on the same instances and write what came of it."""
    options, whole = config.load("compare", words, folder)
    runtime.prepare()
    from jaxplace.compare.settings import CompareSettings

    fields = [spec.name for spec in dataclasses.fields(CompareSettings)]
    settings = CompareSettings(**{name: getattr(options, name) for name in fields})
    from jaxplace.compare.runner import chosen, compare as run_all

    methods = chosen(options.methods)
    from jaxplace import console
    from jaxplace.compare import files, show
    from jaxplace.compare.sources import instances
    from jaxplace.scenario.demo import DEMO, folder_of

    target = files.check_target(options.out or config.run_folder(whole))
    names = options.scenarios or [options.scenario or DEMO]
    with console.Progress() as progress:
        beside = runtime.compile_beside()
        found: dict[str, Instance] = {}
        for name in names:
            progress.stage(f"Reading {console.printable(name)}")
            source = folder_of(name)
            read = instances(source, hour=options.hour, policy=config.policy(options))
            found |= {str(source) if n in found else n: read[n] for n in read}
        if beside is not None:
            progress.stage("Compiling most of what is needed, before any method's time counts")
            beside.wait()
        rows = run_all(found, methods, settings, progress=progress.stage)
    files.save(rows, target, extra={"config.yaml": config.as_yaml(whole)})
    if options.json:
        sys.stdout.write(files.to_json(files.summary(rows)))
    else:
        show.show(rows, target)
    return 0


def replan(words: list[str], folder: Path | None) -> int:
    """Plan hours into a state folder (CONTRACT 7)."""
    options, whole = config.load("replan", words, folder)
    settings, policy = config.settings(options), config.policy(options)
    if not options.state:
        raise InputError("`state` is missing. Name the folder of the loop: `state=my-state`")
    runtime.prepare(settings.device)
    runtime.compile_beside()
    from jaxplace.replan import command
    from jaxplace.scenario.demo import folder_of

    return command.run(
        options,
        settings=settings,
        policy=policy,
        scenario=folder_of(options.scenario),
        extra={"config.yaml": config.as_yaml(whole)},
    )


def generate(words: list[str], folder: Path | None) -> int:
    """Write a made scenario."""
    options, _ = config.load("generate", words, folder)
    if not options.out:
        raise InputError("`out` is missing. Name the folder to write to: `out=my-scenario`")
    from jaxplace import console
    from jaxplace.generate import GenerateSettings, generate as write

    names = [spec.name for spec in dataclasses.fields(GenerateSettings)]
    settings = GenerateSettings(**{name: getattr(options, name) for name in names})
    started = time.perf_counter()
    with console.Progress() as progress:
        progress.stage(f"Writing {console.printable(options.out)}")
        made = write(settings, Path(options.out), progress=progress.steps)
    taken = time.perf_counter() - started
    if options.json:
        sys.stdout.write(json.dumps({"scenario": str(made), "seconds": taken}) + "\n")
    else:
        sys.stdout.write(f"{console.printable(made)} written in {taken:.1f} s\n")
        sys.stdout.write(f"Next: jaxplace solve scenario={console.printable(made)}\n")
    return 0


def doctor(words: list[str], folder: Path | None) -> int:
    """Say what is installed and whether it works."""
    options, _ = config.load("doctor", words, folder)
    runtime.prepare(options.device)
    from jaxplace import doctor as checks

    findings = checks.examine(options.device)
    if options.json:
        sys.stdout.write(json.dumps(findings, indent=2) + "\n")
    else:
        sys.stdout.write(checks.in_words(findings))
    return 0 if findings["self_test"]["passed"] else 3


def run(command: str, words: list[str], folder: Path | None) -> int:
    """Run a command by its name."""
    table: dict[str, Any] = {
        "solve": solve,
        "compare": compare,
        "replan": replan,
        "generate": generate,
        "doctor": doctor,
    }
    if command in ("frontier", "audit", "explain"):
        from jaxplace import study_commands

        table[command] = getattr(study_commands, command)
    return table[command](words, folder)
