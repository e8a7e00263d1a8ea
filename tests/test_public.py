"""`import jaxplace`: the public names, and that they cost nothing until used."""

import subprocess
import sys
from importlib import metadata

import pytest

import jaxplace
from jaxplace import runtime


def run(code):
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_is_light():
    """Importing jaxplace loads none of its heavy dependencies."""
    heavy = "{'jax', 'pandas', 'numpy', 'hydra', 'rich', 'pyarrow'}"
    assert run(f"import sys, jaxplace; print({heavy} & set(sys.modules))") == "set()"


SOLVE = """
import sys
import jaxplace
demo = jaxplace.load_scenario(jaxplace.demo_folder()).at()
placement = jaxplace.solve(demo, jaxplace.Settings(time_limit_s=5.0))
print(placement.certificate.feasible, sorted({'jax', 'optax'} & set(sys.modules)))
"""


@pytest.mark.skipif(runtime.platform() != "cpu", reason="JAX computes on this machine's GPU")
def test_a_solve_on_cpus_does_not_load_jax():
    """The host's loops need none of it, and it takes long to load."""
    assert run(SOLVE) == "True []"


def test_every_public_name_is_there():
    """Each name of __all__ loads and is listed by dir()."""
    for name in jaxplace.__all__:
        assert getattr(jaxplace, name) is not None
        assert name in dir(jaxplace)


def test_unknown_name_is_refused():
    """A misspelt name is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="solv"):
        _ = jaxplace.solv


def test_version_is_the_metadatas():
    """The version lives in the package's metadata alone."""
    try:
        wanted = metadata.version("jaxplace")
    except metadata.PackageNotFoundError:
        wanted = "0+unknown"
    assert jaxplace.__version__ == wanted


def test_generate_stays_a_module():
    """`jaxplace.generate.generate` works whatever was imported first."""
    assert callable(jaxplace.generate.generate)
