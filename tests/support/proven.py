"""What a test proves when it passes: the mark `proves`, and docs/proofs.json, which `--write-proofs` keeps.

    @pytest.mark.proves("an order becomes one invoice", scenario="quote_to_cash", pair=("salesforce", "xero"))
    @pytest.mark.proves("its webhooks are verified", scenario="webhooks", systems=("xero",))

Without `systems`, `pair` and `pairs` the test's own parameters say of whom: `crm_system` and `ledger_system`, or any
that begins with a CRM and a ledger; else `vendor` or `system`. `ties_out=True` where the test ends in a tie-out with
nothing unexplained. Marks of a module and of its tests add up; tests of the same words, scenario and subject prove them
together: when one of them fails or is skipped under --write-proofs, the whole entry goes. Works with xdist: what a test
proves travels in its report.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tieout.model.settings import PROJECT
from tieout.reports import proofs
from tieout.reports.proofs import Proof

FILE = proofs.path_of(PROJECT)
#: How a proof travels in a report's `user_properties`.
PROPERTY = "proves"
#: The marked tests of this run, those that options leave out too.
MARKED = pytest.StashKey[list[pytest.Item]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-proofs", action="store_true", help="note in docs/proofs.json which marked tests passed, and which not"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-proofs"):
        config.pluginmanager.register(Ledger(config), "proofs-ledger")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[MARKED] = [item for item in items if item.get_closest_marker("proves")]


def proofs_of(item: pytest.Item) -> Iterator[Proof]:
    """What the test proves, each with the test.

    Raises:
        UsageError: a mark that cannot be understood.
    """
    for mark in item.iter_markers("proves"):
        try:
            yield from _proofs(*mark.args, **mark.kwargs, parameters=_parameters(item), test=item.nodeid)
        except (ValueError, TypeError) as error:
            raise pytest.UsageError(f"{item.nodeid}: mark `proves`: {error}") from error


def _parameters(item: pytest.Item) -> Mapping[str, Any]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _proofs(
    words: str,
    *,
    scenario: str,
    pair: tuple[str, str] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    systems: tuple[str, ...] = (),
    ties_out: bool = False,
    parameters: Mapping[str, Any],
    test: str,
) -> Iterator[Proof]:
    subjects = [*([pair] if pair else pairs), *((name,) for name in systems)] or [_subject(parameters)]
    for subject in subjects:
        _known(subject)
        yield Proof(tuple(subject), scenario, words, ties_out, (test,))


def _subject(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Of whom the parameters are: two of them, one that begins with a CRM and a ledger, or one that is a system."""
    if "crm_system" in parameters:
        return (parameters["crm_system"], parameters["ledger_system"])
    pairs = {
        tuple(value[:2]) for value in parameters.values() if isinstance(value, tuple | list) and _is_pair(value[:2])
    }
    names = {value for name, value in parameters.items() if name in ("vendor", "system")}
    found = pairs or {(name,) for name in names}
    if len(found) != 1:
        raise ValueError(f"give `systems` or `pair`: by its parameters the test is of {sorted(found) or 'nobody'}")
    return found.pop()


def _is_pair(subject: Sequence[Any]) -> bool:
    from tieout.connectors.registry import of_role  # it needs httpx, and most runs nothing of it

    return len(subject) == 2 and subject[0] in of_role("crm") and subject[1] in of_role("ledger")


def _known(subject: tuple[str, ...]) -> None:
    from tieout.connectors import systems  # see above

    if not (subject[0] in systems.names() if len(subject) == 1 else _is_pair(subject)):
        raise ValueError(f"expected a system, or a CRM and a ledger, found {subject}")


def together(found: Iterable[Proof]) -> dict[Any, Proof]:
    """By key, with the tests of all that are the same proof.

    Raises:
        UsageError: one of them ties out and another does not.
    """
    by_key: dict[Any, list[Proof]] = defaultdict(list)
    for one in found:
        by_key[one.key].append(one)
    for key, some in by_key.items():
        if len({one.ties_out for one in some}) > 1:
            raise pytest.UsageError(f"one of {[one.tests for one in some]} ties out, not all of them: {key}")
    return {
        key: replace(some[0], tests=tuple(sorted({test for one in some for test in one.tests})))
        for key, some in by_key.items()
    }


def merged(before: Iterable[Proof], passed: Iterable[Proof], broken: Iterable[Proof | str]) -> list[Proof]:
    """The proofs after a run.

    Args:
        broken: what was not shown: a proof, or a test of which no more than its id is known (its process died).
    """
    gone = {one.key for one in broken if isinstance(one, Proof)}
    tests = {one for one in broken if isinstance(one, str)}
    new = together(passed)
    kept = [
        replace(one, ties_out=new[one.key].ties_out) if one.key in new else one
        for one in before
        if one.key not in gone and not tests & set(one.tests)
    ]
    return list(together([*kept, *(one for key, one in new.items() if key not in gone)]).values())


class Ledger:
    """Takes down how each marked test ended; in xdist, the process that the workers report to."""

    def __init__(self, config: pytest.Config) -> None:
        self._is_worker = hasattr(config, "workerinput")
        self._lists_only = config.getoption("collectonly")
        self._proofs: dict[str, list[Proof]] = {}
        self._well: dict[str, bool] = {}
        self._over: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.user_properties += [(PROPERTY, proofs.plain(one)) for one in proofs_of(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if found := [proofs.proof(value) for name, value in report.user_properties if name == PROPERTY]:
            self._proofs[report.nodeid] = found
        elif report.passed:
            return  # not marked; of a test whose process died there is a report without properties, and it failed
        self._well[report.nodeid] = self._well.get(report.nodeid, True) and report.passed
        if report.when == "teardown":
            self._over.add(report.nodeid)
            self._write()  # an hour's run that is killed keeps what it has

    def pytest_sessionfinish(self) -> None:
        self._write()

    def _write(self) -> None:
        if self._is_worker or self._lists_only:
            return
        passed = [one for test in self._over if self._well[test] for one in self._proofs[test]]
        ill = [test for test, well in self._well.items() if not well]
        broken = [*ill, *(one for test in ill for one in self._proofs.get(test, []))]
        proofs.write(FILE, merged(proofs.read(FILE), passed, broken))
