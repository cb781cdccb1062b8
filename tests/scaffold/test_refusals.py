"""What `make new-connector` refuses, and that it then changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scaffold import making
from scaffold.making import Naming, Refused, naming, planned, write
from tests.support.sandbox import ROOT

LONG = "a_name_of_24_characters_"[:23] + "x"


@pytest.mark.parametrize(
    ("name", "role", "label", "told"),
    [
        ("Acme", "ledger", "", "NAME: expected at most 24 small letters"),
        ("acme-books", "ledger", "", "found 'acme-books'"),
        ("2acme", "ledger", "", "found '2acme'"),
        ("acme__books", "ledger", "", "found 'acme__books'"),
        ("../acme", "ledger", "", "found '../acme'"),
        ("import", "ledger", "", "found 'import'"),
        ("", "ledger", "", "found ''"),
        (LONG + "x", "ledger", "", "at most 24"),
        ("acme", "bank", "", "ROLE: expected ledger or crm, found 'bank'"),
        ("acme", "", "", "ROLE: expected ledger or crm, found ''"),
        ("acme", "crm", 'Acme" + x + "', "LABEL: expected at most 24"),
        ("acme", "crm", "Acme\nBooks", "LABEL: expected at most 24"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, role: str, label: str, told: str) -> None:
    with pytest.raises(Refused) as caught:
        naming(name, role, label)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["xero", "hubspot", "http", "fields", "state", "ready"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    """By a system, or by a module or folder that a system of that name would hide."""
    with pytest.raises(Refused, match=f"NAME: '{name}' is taken: .+ is there already"):
        planned(ROOT, naming(name, "ledger"))


def test_names_follow_from_one() -> None:
    assert naming("acme_books", "ledger") == Naming("acme_books", "ledger", "Acme Books")
    assert naming("acme_books", "ledger").class_name == "AcmeBooks"
    assert naming("s4", "ledger", "SAP S/4HANA").label == "SAP S/4HANA"


@pytest.mark.parametrize("role", making.ROLES)
def test_a_long_name_is_lintable_and_no_placeholder_is_left(role: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = planned(tmp_path, naming(LONG, role, "A Name of 24 Characters."))
    write(files)
    for path in files:
        text = path.read_text(encoding="utf-8").replace("make new-connector", "")
        assert not [word for word in (*making.PLACEHOLDERS, "scaffold") if word in text], path
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_there_already_stops_everything(tmp_path: Path) -> None:
    names = naming("acme_books", "ledger")
    first, *_ = planned(tmp_path, names)
    there = tmp_path / "expectations" / "acme_books"
    there.mkdir(parents=True)
    with pytest.raises(Refused, match="expectations/acme_books is there already"):
        planned(tmp_path, names)
    assert not first.exists() and list(there.iterdir()) == []


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    files = planned(tmp_path, naming("acme_books", "ledger"))
    last = list(files)[-1]
    last.parent.mkdir(parents=True)
    last.write_text("somebody's own")
    with pytest.raises(FileExistsError):
        write(files)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [last]
    assert last.read_text() == "somebody's own"
    broken = {tmp_path / "new" / "broken.py": "def ("}
    with pytest.raises(Refused, match="ruff"):
        write(broken)
    assert not (tmp_path / "new").exists()


def test_the_make_target_hands_its_variables_on() -> None:
    said = subprocess.run(
        ["make", "-n", "-o", ".venv/.installed-dev", "new-connector", "NAME=acme_books", "ROLE=bank"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 'python -m scaffold "$NAME" --role "$ROLE"' in said.stdout
