"""A process that commits plans into a state folder and kills itself at its n-th file operation.

    python killed.py STATE N OPERATIONS

Prints the hours that were committed.  Every function of `os` that changes a file system, and every
file that is closed after writing, counts; at the n-th one the process gets SIGKILL, before or after
the operation by turns.
"""

import os
import pathlib
import signal
import sys

from jaxplace.replan import history
from jaxplace.replan.state import State


NAMES = ("replace", "rename", "fsync", "mkdir", "open", "unlink", "rmdir", "link", "ftruncate")
left = int(sys.argv[2])


def counted(function):
    def call(*args, **options):
        global left
        left -= 1
        if left == 0 and int(sys.argv[2]) % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **options)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def row(hour):
    values = {"hour": hour, "planned_at": hour, "start": "cold", "status": "converged"}
    values |= {"plan": f"hour={hour[:13]}", "version": "0"}
    numbers = {spec.name: 1 for spec in history.SCHEMA if spec.name not in values}
    return history.Row(**values, **numbers)


def main():
    for name in NAMES:
        setattr(os, name, counted(getattr(os, name)))
    pathlib.Path.write_text = counted(pathlib.Path.write_text)
    with State(sys.argv[1]) as state:
        for hour in (f"2022-07-01T{h:02d}:00" for h in range(int(sys.argv[3]))):
            if hour in state.head.plans:
                continue

            def fill(folder, hour=hour):
                (folder / "placement.parquet").write_text(hour * 50)
                (folder / "summary.json").write_text(hour)

            state.commit(hour, fill, keep_hours=3)
            os.write(1, f"{hour}\n".encode())
            history.add(state.folder, [row(hour)])


main()
