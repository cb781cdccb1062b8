"""Runs the suites over what was staged since the last check, both systems, and leaves Data Docs for a person.

One task for all entities: importing Great Expectations costs seconds, and nothing when no row is new.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tieout.model.errors import SuiteStopped
from tieout.quality.check import Book, CheckCounts, check_entity
from tieout.quality.docs import render
from tieout.quality.run import SuiteResult
from tieout.scenarios.services import Services
from tieout.store import dead_letters, watermarks

BOOK = Book(
    checked_version=watermarks.checked_version,
    advance_checked=watermarks.advance_checked,
    open_keys=dead_letters.open_keys,
    record=dead_letters.record,
    close_passed=dead_letters.close_passed,
)


def check(services: Services, run_id: UUID, part: str = "") -> dict[str, Any]:
    """Checks every staged entity.

    Args:
        part: folder of its own for the Data Docs, below the run's, of a later check in one run.

    Returns:
        Counts over all entities, and `by_entity` of those that had rows to check.

    Raises:
        SuiteStopped: an expectation of severity `stop` failed; the other entities were checked all the same.
    """
    results: dict[str, SuiteResult] = {}
    by_entity: dict[str, dict[str, int]] = {}
    stopped: list[str] = []
    for side in (services.crm, services.ledger):
        for name, mapping in sorted(side.mappings.items()):
            if not mapping.is_staged:
                continue
            entity = mapping.staged_entity()
            try:
                counts = check_entity(
                    services.engine, entity, side.name, services.suite(side.system, name), run_id, BOOK
                )
            except SuiteStopped as error:
                stopped.append(str(error))
                continue
            if counts.checked:
                by_entity[entity.table] = _numbers(counts)
            if counts.result is not None:
                results[entity.table] = counts.result
    if results:
        render(results, services.settings.home / "datadocs" / str(run_id) / part)
    if stopped:
        raise SuiteStopped("; ".join(stopped))
    totals = {name: sum(part[name] for part in by_entity.values()) for name in _NAMES}
    return {**totals, "by_entity": by_entity}


_NAMES = ("checked", "passed", "quarantined", "warned", "closed")


def _numbers(counts: CheckCounts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in _NAMES}
