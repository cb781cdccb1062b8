"""Runs the suites over what was staged since the last check, both systems, and leaves Data Docs for a person.

One task for all entities: importing Great Expectations costs seconds, and nothing when no row is new.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from tieout.model.errors import SuiteStopped
from tieout.quality.check import Book, CheckCounts, EntityStopped, check_entity
from tieout.quality.docs import render
from tieout.quality.run import SuiteResult
from tieout.scenarios.extraction import Reads
from tieout.scenarios.services import Services
from tieout.store import dead_letters, watermarks

BOOK = Book(
    checked_version=watermarks.checked_version,
    advance_checked=watermarks.advance_checked,
    open_keys=dead_letters.open_keys,
    record=dead_letters.record,
    close_passed=dead_letters.close_passed,
)


#: Folder of the Data Docs of the check of what the ledger answered, below the run's own.
ANSWERS = "answers"
_CHECKED = {"": "what was read from both systems", ANSWERS: "what the ledger answered when it was written"}


def docs_folder(home: Path, run_id: UUID | str) -> Path:
    """The folder of a run's Data Docs, which may not exist."""
    return home / "datadocs" / str(run_id)


def docs_pages(folder: Path) -> dict[str, str]:
    """What was checked, in words -> the index of its Data Docs below the run's folder; those that exist."""
    pages = {words: f"{part}/index.html".lstrip("/") for part, words in _CHECKED.items()}
    return {words: page for words, page in pages.items() if (folder / page).is_file()}


def check(services: Services, run_id: UUID, reads: Reads, part: str = "") -> dict[str, Any]:
    """Checks the staged entities that a scenario reads.

    Args:
        reads: which entities of which side.
        part: folder of its own for the Data Docs, below the run's, of a later check in one run: ANSWERS.

    Returns:
        Counts over all entities, and `by_entity` of those that had rows to check.

    Raises:
        SuiteStopped: an expectation of severity `stop` failed; the other entities were checked all the same.
    """
    results: dict[str, SuiteResult] = {}
    by_entity: dict[str, dict[str, int]] = {}
    stopped: list[str] = []
    for side, names in ((services.crm, reads["crm"]), (services.ledger, reads["ledger"])):
        for name in sorted(set(names) & side.mappings.keys()):  # not every system has all of them
            entity = side.mappings[name].staged_entity()
            try:
                counts = check_entity(
                    services.engine, entity, side.name, services.suite(side.system, name), run_id, BOOK
                )
            except EntityStopped as error:
                stopped.append(str(error))
                if error.result is not None:
                    results[entity.table] = error.result
                continue
            if counts.checked:
                by_entity[entity.table] = _numbers(counts)
            if counts.result is not None:
                results[entity.table] = counts.result
    if results:
        render(results, docs_folder(services.settings.home, run_id) / part)
    if stopped:
        raise SuiteStopped("; ".join(stopped))
    totals = {name: sum(part[name] for part in by_entity.values()) for name in _NAMES}
    return {**totals, "by_entity": by_entity}


_NAMES = ("checked", "passed", "quarantined", "warned", "closed")


def _numbers(counts: CheckCounts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in _NAMES}
