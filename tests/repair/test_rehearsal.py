"""What a first solve compiles in a second process is what it needs."""

import os
import subprocess
import sys

from jaxplace import runtime


SOLVE = """
from jaxplace import runtime
runtime.prepare()
import sys
sys.path.insert(0, "tests")
from instances import random_instance
from jaxplace.pipeline import solve
from numba.core import event
class Listener(event.Listener):
    def on_start(self, e):
        name = e.data["dispatcher"].py_func.__module__
        if name.startswith("jaxplace.repair"):
            print(name, e.data["dispatcher"].py_func.__name__)
    def on_end(self, e):
        pass
event.register("numba:compile", Listener())
solve(random_instance(3, features={"counts"}, tightness=1.1))
"""


def test_a_rehearsed_solve_compiles_nothing_in_repair(tmp_path):
    """All loops and all types of their arguments are met in the rehearsal."""
    root = str(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    env.pop("NUMBA_CACHE_DIR", None)
    run = [sys.executable, "-m", "jaxplace.repair.rehearsal"]
    env["NUMBA_CACHE_DIR"] = str(tmp_path / "jaxplace" / "numba" / runtime._loops())
    subprocess.run(run, env=env, check=True, cwd=root)
    assert any((tmp_path / "jaxplace" / "numba").rglob("*.nbi"))
    done = subprocess.run(
        [sys.executable, "-c", SOLVE], env=env, check=True, cwd=root, capture_output=True, text=True
    )
    assert done.stdout == ""
