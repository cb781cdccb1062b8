"""Companies of the proofs: a small made-up one that needs no data from elsewhere, loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proofs.company import Company, Loaded, company_of, load_company
from tests.proofs.made_up import write_folder
from tests.proofs.northwind_arithmetic import Expected, expected_northwind
from tieout.scenarios import quote_to_cash

ORDERS = 120


@pytest.fixture(autouse=True)
def _quick_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home of the test's own; what is due later is left to the next run instead of being slept for."""
    monkeypatch.setenv("TIEOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(quote_to_cash, "PATIENCE_SECONDS", 0.0)


@pytest.fixture(scope="session")
def made_up_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as Northwind's: 120 orders of 6 customers, prices and discounts that do not come out even."""
    folder = tmp_path_factory.mktemp("made_up")
    write_folder(folder, ORDERS)
    return folder


@pytest.fixture(scope="session")
def expected(made_up_folder: Path) -> Expected:
    """What the made-up company must bill."""
    return expected_northwind(made_up_folder)


@pytest.fixture(scope="session")
def made_up(made_up_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The small company as it is loaded."""
    return load_company(made_up_folder, "northwind", tmp_path_factory.mktemp("loaded") / "made_up")


@pytest.fixture
def company(made_up: Loaded, database_url: str, tmp_path: Path) -> Iterator[Company]:
    """The small company: 120 activated orders, nothing posted yet."""
    with company_of(made_up, database_url, tmp_path / "sandbox") as company:
        yield company
