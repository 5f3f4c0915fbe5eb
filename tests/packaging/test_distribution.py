"""What is given to users: the wheel and the source archive in `dist/`, in environments that have
nothing else. Run by `make test-wheel`.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = ROOT / "build" / "official" / "bin" / "python"


def only(pattern: str) -> Path:
    found = sorted((ROOT / "dist").glob(pattern))
    assert len(found) == 1, f"{pattern} in dist/: {found}"
    return found[0]


def run(*words: str | Path, **options: object) -> str:
    done = subprocess.run(  # noqa: S603
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel, and no way to reach an index or a compiler."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=True)
    bare = {"PATH": str(place / "bin"), "PIP_NO_INDEX": "1"}
    run(place / "bin" / "pip", "install", "--quiet", only("*.whl"), env=bare)
    return place / "bin"


def test_the_wheel_is_for_old_systems_too_and_small() -> None:
    wheel = only("*.whl")
    assert re.search(r"-cp310-abi3-manylinux(_2_17|2014)_x86_64", wheel.name), wheel.name
    assert wheel.stat().st_size < 5_000_000, wheel.stat().st_size
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        native = archive.read("kaltura_app_token/_native.abi3.so")
    versions = {
        tuple(map(int, version.split(b".")))
        for version in re.findall(rb"GLIBC_([0-9.]+[0-9])\0", native)
    }
    assert max(versions) <= (2, 17), versions
    for name in ("kaltura_app_token/py.typed", "kaltura_app_token/_native.pyi"):
        assert name in names
    assert any(name.endswith("scripts/kaltura_app_token_manager.py") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert str(ROOT).encode() not in native, "a path of the build machine"


def test_it_installs_without_an_index_and_works(installed: Path) -> None:
    packages = json.loads(run(installed / "pip", "list", "--format=json"))
    assert {package["name"] for package in packages} <= {"kaltura-app-token", "pip", "setuptools"}
    assert "session KS (sandbox)" in run(installed / "kaltura-app-token", "demo")
    manager = installed / "kaltura_app_token_manager.py"
    assert "Created New App Token ID: " in run(
        manager, "--sandbox", "--create", cwd=installed.parent
    )


def over_bare(program: Sequence[str | Path], bare: Sequence[str | Path]) -> float:
    """How many milliseconds longer one takes, in the middle of runs in turn."""
    differences = []
    for _ in range(25):
        times = []
        for words in (program, bare):
            started = time.perf_counter()
            subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
            times.append(time.perf_counter() - started)
        differences.append((times[0] - times[1]) * 1000)
    return statistics.median(differences)


def test_it_starts_fast(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = installed / "python"
    bare = [python, "-c", "pass"]
    figures = {
        "import": over_bare([python, "-c", "import kaltura_app_token"], bare),
        "import Client": over_bare([python, "-c", "from kaltura_app_token import Client"], bare),
        "--help": over_bare([installed / "kaltura-app-token", "--help"], bare),
    }
    if OFFICIAL.exists():
        program = "import KalturaClient, KalturaClient.Plugins.Core"
        figures["official client's import"] = over_bare(
            [OFFICIAL, "-W", "ignore", "-c", program], [OFFICIAL, "-c", "pass"]
        )
    with capsys.disabled():
        shown = ", ".join(f"{name} {ms:.1f} ms" for name, ms in figures.items())
        print(f"\nover `python -c pass`: {shown}")
    assert figures["import"] < 8
    assert figures["import Client"] < 8
    assert figures["--help"] < 20
    if OFFICIAL.exists():
        assert figures["import Client"] * 10 < figures["official client's import"]


def test_the_source_archive_builds_outside_of_the_repository(tmp_path: Path) -> None:
    with tarfile.open(only("*.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert not source.is_relative_to(ROOT)
    venv.create(tmp_path / "venv", with_pip=True)
    # Unoptimised, and with the dependencies that are compiled already: the build is what is tested.
    environment = os.environ | {
        "MATURIN_PEP517_ARGS": "--profile dev --auditwheel skip",
        "CARGO_TARGET_DIR": str(ROOT / "target"),
    }
    pip = tmp_path / "venv" / "bin" / "pip"
    run(pip, "install", "--quiet", source, env=environment)
    demo = run(tmp_path / "venv" / "bin" / "kaltura-app-token", "demo")
    assert "created token id (sandbox)" in demo


def test_it_is_this_python_that_is_tested() -> None:
    assert sys.version_info >= (3, 10)
