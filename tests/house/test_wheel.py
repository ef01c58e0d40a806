"""The wheel, built from tracked files alone and installed into an empty environment, is the whole product."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.house import tracked

SERVED = (".html", ".css", ".js", ".svg", ".json")
NOT_SERVED = {"jsconfig.json", "package.json", "package-lock.json"}

# Building the native relay takes longer than a test usually may.
pytestmark = pytest.mark.timeout(110)


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """The standard output of a command that must succeed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for path in tracked.files():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tracked.ROOT / path, source / path)
    target = tracked.ROOT / "relay" / "native" / "target"
    pip_wheel = (
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    )
    run(*pip_wheel, "--wheel-dir", built, ".", cwd=source, CARGO_TARGET_DIR=str(target))
    (made,) = built.glob("turngate-*.whl")
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel in it; the libraries are those that the tests run with."""
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin" / "python"
    pip_install = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    )
    run(*pip_install, wheel, cwd=home)
    # A path file of a path file is not followed: the editable install beside the libraries stays out.
    packages = home / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home / "bin"


def test_the_wheel_holds_every_file_of_the_browsers_client_and_no_test(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    served = {
        path
        for path in tracked.files()
        if path.startswith("broker/web/") and path.endswith(SERVED) and Path(path).name not in NOT_SERVED
    }
    assert served - held == set()
    assert {name.split("/")[0] for name in held if ".dist-info/" not in name} == set(tracked.ROOMS)


def test_the_wheel_holds_every_module_the_samples_and_the_type_marks(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path
        for path in tracked.files()
        if path.split("/")[0] in tracked.ROOMS and path.endswith((".py", ".pyi", "py.typed", ".toml", ".sql"))
        if not path.startswith("relay/native/")
    }
    assert wanted - held == set()


def test_the_wheel_holds_the_native_relay_exactly_where_there_is_a_compiler(
    wheel: Path, environment: Path, tmp_path: Path
) -> None:
    held = [
        name
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("relay/_native.") and name.endswith(".so")
    ]
    assert len(held) == (1 if shutil.which("cargo") else 0)
    if held:
        show = "import relay._native as native; print('turngate', native.version())"
        assert run(environment / "python", "-c", show, cwd=tmp_path) == run(
            environment / "turngate", "--version", cwd=tmp_path
        )


def test_the_installed_product_is_the_wheels_and_runs_from_any_directory(
    environment: Path, tmp_path: Path
) -> None:
    where = run(environment / "python", "-c", "import broker; print(broker.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment.parent)
    assert run(environment / "turngate", "--version", cwd=tmp_path).startswith("turngate ")
    assert run(environment / "turngate", "ports", cwd=tmp_path).startswith("direction")


def test_the_installed_product_shows_itself_from_any_directory(environment: Path, tmp_path: Path) -> None:
    shown = json.loads(run(environment / "turngate", "demo", "--once", "--json", cwd=tmp_path))
    assert shown["ok"]
    assert shown["call"]["selected_pairs"] == ["relay/relay", "relay/relay"]
    assert shown["audit"]["verified"]
    assert list(tmp_path.iterdir()) == []
