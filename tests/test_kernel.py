"""Compiled functions: nothing compiles late, no fast maths, and a place without a cache costs only start-up time."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from opencram.physics import kernel as kernel_module
from opencram.physics.kernel import device, kernel

MODULE = """
from opencram.physics.kernel import device, kernel

@device
def half(x):
    return 0.5 * x

@kernel("float64(float64)")
def quarter(x):
    return half(half(x))

print(quarter(8.0), quarter.stats.cache_path or "nowhere")
"""

# With this place alone numba has nowhere to go by itself, as in a read-only tree whose user has no home.
NOWHERE = {"NUMBA_CACHE_LOCATOR_CLASSES": "opencram.physics.kernel.NamedFolder", "NUMBA_CACHE_DIR": ""}


def run_module(tmp_path: Path, temp: Path) -> tuple[str, str]:
    script = tmp_path / "quarter.py"
    script.write_text(MODULE)
    env = {**os.environ, **NOWHERE, "TMPDIR": str(temp)}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, check=True)
    value, place = done.stdout.split()
    return value, place


def private_folder(temp: Path) -> Path:
    return temp / f"opencram-kernels-{os.getuid()}"


def test_without_a_cache_folder_a_private_one_is_made(tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    value, place = run_module(tmp_path, temp)
    folder = private_folder(temp)
    assert value == "2.0"
    assert place.startswith(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.rglob("*.nbc"))


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path, mode: int) -> None:
    temp = tmp_path / "temp"
    folder = private_folder(temp)
    folder.mkdir(parents=True)
    folder.chmod(mode)
    assert run_module(tmp_path, temp) == ("2.0", "nowhere")
    assert not list(folder.iterdir())


def test_a_file_in_the_folders_place_is_no_obstacle(tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    private_folder(temp).touch()
    assert run_module(tmp_path, temp) == ("2.0", "nowhere")


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv of util-linux is not installed")
def test_what_another_has_compiled_into_a_read_only_tree_is_read(tmp_path: Path) -> None:
    """As in an image whose service is not its owner; what is missing there goes to a private folder."""
    script = tmp_path / "tree" / "quarter.py"
    script.parent.mkdir()
    script.write_text(MODULE + 'print(sum(quarter.stats.cache_hits.values()), "hits")')
    env = {**os.environ, "NUMBA_CACHE_DIR": "", "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "none")}
    bound = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.getuid() == 0 else []

    def run(*command: str) -> list[str]:
        done = subprocess.run([*command, sys.executable, script], env=env, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert run()[2:] == ["0", "hits"]
    folder = script.parent / "__pycache__"
    folder.chmod(0o555)
    assert run(*bound) == ["2.0", str(folder), "1", "hits"]
    script.write_text(script.read_text().replace("0.5 * x", "0.25 * x"))
    value, place, *hits = run(*bound)
    assert (value, hits) == ("0.5", ["0", "hits"])
    assert place.startswith(str(private_folder(tmp_path)))
    folder.chmod(0o755)


def test_a_change_in_what_a_kernel_rests_on_is_noticed(tmp_path: Path) -> None:
    """Numba alone goes on with the old part: its cache looks at the kernel's own file only."""
    package = tmp_path / "opencram" / "physics"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py"):
        file.touch()
    (package / "kernel.py").write_bytes(Path(kernel_module.__file__).read_bytes())
    (package / "part.py").write_text("FACTOR = 2.0\n")
    (package / "whole.py").write_text(
        "from opencram.physics.kernel import kernel\nfrom opencram.physics.part import FACTOR\n\n\n"
        "@kernel('float64(float64)')\ndef scaled(x):\n    return FACTOR * x\n"
    )
    ask = "from opencram.physics.whole import scaled; print(scaled(1.0), sum(scaled.stats.cache_hits.values()))"

    def answer() -> str:
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run([sys.executable, "-c", ask], env=env, capture_output=True, text=True, check=True).stdout

    assert answer() == "2.0 0\n"
    assert answer() == "2.0 1\n"
    (package / "part.py").write_text("FACTOR = 3.0\n")
    assert answer() == "3.0 0\n"


@device
def _twice(x: float) -> float:
    return x + x


@kernel("float64(float64, float64)")
def _rounded(a: float, b: float) -> float:
    """Zero unless the compiler reorders floating point sums."""
    return (a + b) - a + _twice(0.0)


@kernel("float64(float64[::1])")
def _first(x: np.ndarray) -> float:
    return x[0]


def test_sums_are_not_reordered() -> None:
    assert _rounded(1e16, 0.5) == 0.0


def test_other_types_are_refused_instead_of_compiled() -> None:
    assert _first(np.array([3.0])) == 3.0
    with pytest.raises(TypeError, match="No matching definition"):
        _first(np.array([3]))
    assert len(_first.signatures) == 1  # type: ignore[attr-defined]
