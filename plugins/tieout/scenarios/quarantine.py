"""Which staged rows may not be used, and why: open dead letters of the checks, and the lines' way to their parents."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import text

from tieout.model.errors import Rejection
from tieout.scenarios.billing import Hold
from tieout.scenarios.frames import parent_column
from tieout.scenarios.services import Services
from tieout.store import dead_letters


def hold_of(item: Rejection) -> Hold:
    """The same words about the record that it stops."""
    return Hold(item.reason, item.message, item.expected, item.found, item.remedy)


def letters_of(services: Services, entity: str, ids: Collection[str] | None) -> dict[str, str]:
    """source id -> reason of the dead letters that keep the CRM's rows of an entity in quarantine; None is all ids."""
    with services.engine.connect() as conn:
        found = dead_letters.open_keys(conn, services.crm.name, entity)
    return {key: reason for key, reason in found.items() if ids is None or key in ids}


def parents_of(
    services: Services, entity: str, parent: str, ids: Iterable[str], *, reverse: bool = False
) -> dict[str, str]:
    """Row id -> its parent's id, straight from the staged column: the row itself may be unreadable.

    Args:
        parent: the common field that names the parent.
        reverse: parent's id -> row id instead.
    """
    wanted = list(ids)
    if not wanted:
        return {}
    table = services.crm.mappings[entity].staged_entity().table
    column = parent_column(services.crm, entity, parent)
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                f"select _source_id, {column} as parent from staging.{table} "  # noqa: S608 - names from the mapping
                "where _connection = :connection and _source_id = any(:ids) and not _deleted"
            ),
            {"connection": services.crm.name, "ids": wanted},
        )
        found = {row._source_id: row.parent for row in rows if row.parent}
    return {parent_id: row_id for row_id, parent_id in found.items()} if reverse else found
