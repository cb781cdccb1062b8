"""docs/proofs.json and docs/SYSTEMS.md claim what marked tests showed, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.marked import collected_elsewhere, collected_here, differences, pruned
from tests.support.proven import FILE, merged, proofs_of
from tieout.cli import systems_page
from tieout.connectors import systems
from tieout.connectors.registry import of_role
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import PROJECT
from tieout.reports import proofs
from tieout.reports.proofs import SCENARIOS, Proof

BILLS = Proof(("hubspot", "xero"), "quote_to_cash", "orders are billed", True, ("t.py::a", "t.py::b"))
PAIRS = (("hubspot", "xero"), ("hubspot", "quickbooks"))
READS = Proof(("xero",), "connector", "is read", False, ("t.py::c",))


def test_what_is_written_is_what_marks_say(request: pytest.FixtureRequest) -> None:
    marked = collected_here(request.config) or collected_elsewhere()
    assert marked and differences(proofs.read(FILE), marked) == [], "`make proofs` runs them and writes it anew"


# --- the page ---------------------------------------------------------------------------------------------------------


def _row(page: str, first: str) -> list[str]:
    (line,) = [line for line in page.splitlines() if line.startswith(f"| [{first}]")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_every_system_and_every_pair_has_a_row_and_what_is_not_shown_is_empty() -> None:
    page = systems_page.page([])
    labels = [systems.label(name) for name in systems.names()]
    pairs = [
        f"{systems.label(crm)} and {systems.label(ledger)}" for crm in of_role("crm") for ledger in of_role("ledger")
    ]
    assert {"".join(_row(page, name)) for name in [*labels, *pairs]} == {""}
    assert page.count(f"Not shown: {', '.join(SCENARIOS.values())}.") == len(labels)


def test_a_proof_stands_at_its_pair_at_both_systems_and_with_its_tests() -> None:
    page = systems_page.page([BILLS, READS])
    assert _row(page, "HubSpot and Xero") == ["1, 0.00", *[""] * 7]
    assert _row(page, "Xero") == ["1", "1, 0.00", *[""] * 7]
    assert _row(page, "HubSpot") == ["", "1, 0.00", *[""] * 7]
    assert "".join(_row(page, "Salesforce and QuickBooks Online")) == ""
    hooks = systems_page.page([replace(BILLS, scenario="webhooks", ties_out=False)])
    assert ("".join(_row(hooks, "HubSpot")), "".join(_row(hooks, "HubSpot and Xero"))) == ("", "1")
    assert "- orders are billed (ties out to 0.00)\n  - `t.py`, 2 tests\n" in page
    assert "- is read\n  - `t.py::c`\n" in page


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_holds_what_was_written_in_one_order(tmp_path: Path) -> None:
    file = tmp_path / "proofs.json"
    assert proofs.read(file) == ()
    proofs.write(file, [READS, BILLS])
    first = file.read_bytes()
    assert proofs.read(file) == (BILLS, READS)
    proofs.write(file, reversed(proofs.read(file)))
    assert file.read_bytes() == first


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '[{"system": "xero", "scenario": "magic", "proof": "x", "tests": []}]',
     '[{"system": "xero", "scenario": "returns", "proof": "x", "tests": [], "ties_out": true}]',
     '[{"scenario": "returns", "proof": "x", "tests": []}]'],
)  # fmt: skip
def test_a_file_with_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "proofs.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationFault, match="make proofs"):
        proofs.read(file)


def test_a_proof_goes_with_any_of_its_tests_and_parts_of_a_run_come_together() -> None:
    half = replace(BILLS, tests=("t.py::a",))
    assert merged([half], [replace(BILLS, tests=("t.py::b",))], []) == [BILLS]
    assert merged([BILLS, READS], [half], [replace(BILLS, tests=("t.py::b",))]) == [READS]
    assert merged([BILLS, READS], [], ["t.py::a"]) == [READS]
    other = replace(BILLS, ties_out=False, tests=("t.py::a",))
    with pytest.raises(pytest.UsageError, match="ties out"):
        merged([], [other, replace(BILLS, tests=("t.py::b",))], [])


@pytest.mark.parametrize(
    ("written", "marked", "words"),
    [
        ([BILLS], [], "no test has this mark"),
        ([READS], [READS, replace(READS, words="is written")], "was not seen to pass"),
        ([READS], [replace(READS, tests=("t.py::c", "t.py::d"))], "t.py::d was not seen to pass"),
        ([BILLS], [replace(BILLS, tests=("t.py::a",))], "t.py::b is written"),
        ([BILLS], [replace(BILLS, ties_out=False)], "ties out"),
        ([BILLS], [replace(BILLS, scenario="returns")], "no test has this mark"),
    ],
)
def test_what_does_not_agree_is_told(written: Sequence[Proof], marked: Sequence[Proof], words: str) -> None:
    assert any(words in one for one in differences(written, marked))
    assert not [one for one in differences(pruned(written, marked), marked) if "was not seen to pass" not in one]


def test_a_new_system_of_which_nothing_was_shown_yet_is_no_difference() -> None:
    assert differences([BILLS], [BILLS, READS]) == []


# --- a run ------------------------------------------------------------------------------------------------------------

SUITE = """
import os, pytest

proves = pytest.mark.proves

@proves("good", scenario="connector", systems=("xero", "hubspot"))
def test_good():
    pass

@pytest.mark.parametrize("system", ["xero", "hubspot"])
@proves("half", scenario="webhooks")
def test_half(system):
    assert system == "xero"

@proves("one of two", scenario="returns", pair=("hubspot", "xero"))
@pytest.mark.parametrize("number", [1, 2])
def test_of_two(number):
    assert number == 1

@proves("skipped", scenario="connector", systems=("xero",))
def test_skipped():
    pytest.skip("no")

@pytest.fixture
def broken():
    yield
    raise RuntimeError("the end")

@proves("its end fails", scenario="connector", systems=("xero",))
def test_end(broken):
    pass

@pytest.mark.parametrize(("crm_system", "ledger_system"), [("hubspot", "xero")])
@proves("of a pair", scenario="returns", ties_out=True)
def test_pair(crm_system, ledger_system):
    pass

@pytest.mark.parametrize("office", [("hubspot", "xero", {"a": 1})])
@proves("of a pair", scenario="returns", ties_out=True)
def test_pair_in_one(office):
    pass
"""
DIES = """
@proves("dies", scenario="crash", systems=("xero",))
def test_dies():
    os._exit(1)
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Pytest on a suite in a project of its own."""
    (tmp_path / "docs").mkdir()

    def pytest_on(text: str, *options: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_suite.py").write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "tests.support.proven",
            "-p",
            "no:cacheprovider",
            *options,
        ]
        places = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
        environment = {**os.environ, "TIEOUT_PROJECT": str(tmp_path), "PYTHONPATH": places}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return pytest_on


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_only_what_passed_from_beginning_to_end_is_written(run: Run, tmp_path: Path, workers: Sequence[str]) -> None:
    file = tmp_path / "docs" / "proofs.json"
    before = [
        Proof(("xero",), "connector", "skipped", False, ("test_suite.py::test_skipped",)),
        Proof(("xero",), "connector", "its end fails", False, ("test_suite.py::test_end",)),
        Proof(("xero",), "crash", "of another file", False, ("test_other.py::test_it",)),
        Proof(("xero",), "crash", "dies", False, ("test_suite.py::test_dies",)),
    ]
    proofs.write(file, before)
    run(SUITE + (DIES if workers else ""), "--write-proofs", *workers)
    found = [(one.subject, one.words, one.ties_out, len(one.tests)) for one in proofs.read(file)]
    assert found == [
        (("hubspot",), "good", False, 1),
        (("hubspot", "xero"), "of a pair", True, 2),
        (("xero",), "good", False, 1),
        *([] if workers else [(("xero",), "dies", False, 1)]),
        (("xero",), "of another file", False, 1),
        (("xero",), "half", False, 1),
    ]


def test_without_the_option_nothing_is_written(run: Run, tmp_path: Path) -> None:
    run(SUITE)
    assert not (tmp_path / "docs" / "proofs.json").exists()


def test_a_mark_that_cannot_be_understood_ends_the_run(run: Run) -> None:
    mark = '@pytest.mark.proves("x", scenario="magic", systems=("xero",))'
    done = run(f"import pytest\n{mark}\ndef test_it(): pass\n", "--write-proofs")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "expected one of connector" in done.stderr and "test_suite.py::test_it" in done.stderr


def _item(mark: pytest.MarkDecorator, **parameters: Any) -> Any:
    callspec = SimpleNamespace(params=parameters)
    return SimpleNamespace(nodeid="t.py::it", callspec=callspec, iter_markers=lambda name: [mark.mark])


@pytest.mark.parametrize(
    ("given", "parameters", "subjects"),
    [
        ({"systems": ("xero", "hubspot")}, {}, [("xero",), ("hubspot",)]),
        ({"pair": ("hubspot", "xero")}, {"system": "quickbooks"}, [("hubspot", "xero")]),
        ({"pairs": PAIRS}, {}, list(PAIRS)),
        ({}, {"vendor": "xero", "name": "lost"}, [("xero",)]),
        ({}, {"system": "hubspot"}, [("hubspot",)]),
        ({}, {"crm_system": "hubspot", "ledger_system": "xero"}, [("hubspot", "xero")]),
        ({}, {"office": ("hubspot", "xero", {"more": 1}), "other": (1, 2)}, [("hubspot", "xero")]),
    ],
)
def test_whose_proof_it_is(given: dict[str, Any], parameters: dict[str, Any], subjects: Sequence[Any]) -> None:
    found = proofs_of(_item(pytest.mark.proves("x", scenario="returns", **given), **parameters))
    assert [one.subject for one in found] == subjects


@pytest.mark.parametrize(
    ("args", "given", "parameters", "words"),
    [
        (("x",), {"scenario": "returns", "systems": ("nobody",)}, {}, "found ('nobody',)"),
        (("x",), {"scenario": "returns", "pair": ("xero", "hubspot")}, {}, "expected a system, or a CRM and a ledger"),
        (("x",), {"scenario": "returns"}, {}, "by its parameters the test is of nobody"),
        (("x",), {"scenario": "returns"}, {"a": PAIRS[0], "b": PAIRS[1]}, "'quickbooks'), ('hubspot', 'xero')"),
        (("x",), {"systems": ("xero",)}, {}, "scenario"),
        ((), {"scenario": "returns", "systems": ("xero",)}, {}, "words"),
        (("",), {"scenario": "returns", "systems": ("xero",)}, {}, "characters, found 0"),
        (("x",), {"scenario": "returns", "systems": ("xero",), "ties_out": True}, {}, "only a pair ties out"),
    ],
)
def test_a_mark_says_what_is_wrong_with_it(
    args: tuple[str, ...], given: dict[str, Any], parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(pytest.UsageError, match=re.escape(words)):
        list(proofs_of(_item(pytest.mark.proves(*args, **given), **parameters)))
