"""The Makefile, the CI script and the locks: every target is listed, the locks belong to pyproject.toml."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_help_lists_every_public_target() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", text, re.M)
    assert phony
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^\s+make ([\w-]+)", done.stdout, re.M)
    assert listed == phony[1].split()
    assert {"setup", "demo", "stop", "test", "bench", "lint", "docs", "lock"} <= set(listed)


def test_ci_is_a_script_that_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("make test test-long")
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text()
    pins = re.findall(r"^[a-z0-9][\w.\[\]-]*==", text, re.M | re.I)
    blocks = re.findall(r"^[a-z0-9][\w.\[\]-]*==[^\n]*(?:\n    --hash=sha256:[0-9a-f]{64}[^\n]*)+", text, re.M | re.I)
    assert len(pins) == len(blocks) > 100


def test_the_locks_hold_every_direct_dependency_and_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime, dev = (_pins(ROOT / name) for name in ("requirements.txt", "requirements-dev.txt"))
    direct = {_name(spec) for spec in project["dependencies"]}
    tools = {_name(spec) for spec in project["optional-dependencies"]["dev"]}
    assert direct <= runtime.keys()
    assert direct | tools <= dev.keys()
    assert {name: dev[name] for name in runtime if name in dev} == {
        name: runtime[name] for name in runtime if name in dev
    }


@pytest.mark.slow
def test_the_locks_are_what_pyproject_asks_for(tmp_path: Path) -> None:
    """Resolves again with the pins kept: a dependency that was added or taken out without `make lock` shows here."""
    for name in ("pyproject.toml", "requirements.txt", "requirements-dev.txt", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    for arguments in (
        ["-o", "requirements.txt"],
        ["--extra", "dev", "-c", "requirements.txt", "-o", "requirements-dev.txt"],
    ):
        command = [
            sys.executable, "-m", "uv", "pip", "compile", "-q", "pyproject.toml", "--universal",
            "--python-version", "3.11", "--generate-hashes", *arguments,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        if "error sending request" in done.stderr or "dns error" in done.stderr:
            pytest.skip("no package index can be reached: the locks were not compared")
        assert done.returncode == 0, done.stderr
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert _pins(tmp_path / name) == _pins(ROOT / name), name


def _pins(file: Path) -> dict[str, str]:
    return {
        _name(name): version for name, version in re.findall(r"^([\w.\[\]-]+)==([^\s;\\]+)", file.read_text(), re.M)
    }


def _name(spec: str) -> str:
    found = re.match(r"[\w.-]+", spec)
    assert found, spec
    return re.sub(r"[-_.]+", "-", found[0]).lower()
