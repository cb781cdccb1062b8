"""A ledger and a CRM are built from the scaffold in a copy of the checkout, and run as any system has to.

Nothing of the copy is edited by hand: what the generator writes is clean, known by its folders alone, passes the
standard suite, and bills.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from tests.support.sandbox import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
#: Of the checkout: what the commands below read.
COPIED = ("plugins", "sandbox", "scaffold", "include", "expectations", "dags", "tests", "docs", "pyproject.toml")
BUILT = {"acme_books": "ledger", "tiny_crm": "crm"}
LEFT = shutil.ignore_patterns("__pycache__", ".tieout", "images")


class Checkout:
    """A copy of the checkout. Commands run in it by this interpreter."""

    def __init__(self, root: Path, database_url: str) -> None:
        self.root = root
        self._environment = dict(os.environ, PYTHONPATH="plugins:.", TIEOUT_TEST_DATABASE_URL=database_url)

    def run(self, *command: str) -> str:
        """What `python -m <command>` writes; fails with all of it where it fails."""
        return self._run("-m", *command)

    def tieout(self, *command: str) -> str:
        """The same of `tieout <command>`."""
        return self._run("-c", "from tieout.cli import main; main()", *command)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=self.root, env=self._environment, capture_output=True, text=True,
            timeout=850, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def checkout(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """With both systems built."""
    root = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name, **({"ignore": LEFT} if copy is shutil.copytree else {}))
    made = Checkout(root, postgres_server.admin_url)
    for name, role in BUILT.items():
        told = made.run("scaffold", name, "--role", role)
        assert f"tests/connectors/vendor_{name}.py" in told and "What is next" in told
    yield made
    shutil.rmtree(root, ignore_errors=True)


def test_what_is_built_is_clean(checkout: Checkout) -> None:
    checkout.run("ruff", "check", ".")
    checkout.run("ruff", "format", "--check", ".")
    packages = [f"{where}.{name}" for where in ("tieout.connectors", "sandbox") for name in BUILT]
    checkout.run("mypy", *(part for package in packages for part in ("-p", package)))


def test_it_is_known_by_its_folders_alone(checkout: Checkout) -> None:
    assert "0 warnings" in checkout.tieout("mapping", "lint")
    checkout.tieout("docs")
    checkout.tieout("docs", "--check")
    pages = (checkout.root / "docs" / "MAPPINGS.md").read_text(encoding="utf-8")
    assert "## Tiny Crm and Acme Books" in pages and "## Salesforce and Acme Books" in pages
    units = ("scenarios/test_pairs.py", "quality/test_suites.py", "mapping/test_load.py", "test_import_rule.py")
    checkout.run("pytest", "-q", *(f"tests/unit/{unit}" for unit in units))


@pytest.mark.parametrize("name", BUILT)
def test_it_passes_the_standard_suite(checkout: Checkout, name: str) -> None:
    checkout.run("pytest", "-q", "tests/connectors", "-k", f"[{name}")


@pytest.mark.parametrize("name", BUILT)
def test_it_bills(checkout: Checkout, name: str) -> None:
    checkout.run("pytest", "-q", f"tests/proofs/first/test_{name}.py")
