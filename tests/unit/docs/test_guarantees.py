"""docs/guarantees.md says of each write what its connector declares."""

from __future__ import annotations

import re
from pathlib import Path

from tieout.connectors import systems
from tieout.connectors.base import Guard, Operation
from tieout.connectors.registry import capabilities, connect
from tieout.model.connection import Connection

PAGE = Path(__file__).resolve().parents[3] / "docs" / "guarantees.md"
ROW = re.compile(r"^\| (\w+) \| `([\w.]+)` \| ([^|]+) \| (\d+) \| ([^|]+) \|$", re.MULTILINE)


def _declared() -> dict[tuple[str, str], Operation]:
    found = {}
    for system, can in ((name, capabilities(name)) for name in systems.names()):
        fields = {"tenant_id": "t", "realm_id": "1", "refresh_token": "r"}
        connector = connect(Connection("page", system, "http://127.0.0.1:1", "id", "secret", fields))
        for name in can.operations:
            found[system, name] = connector.operation(name)
        connector.close()
    return found


def _guard(operation: Operation) -> str:
    if operation.guard is Guard.NATURAL_KEY:
        natural = {
            "prices.create": "one entry of a product, book and currency",
            "contacts.create": "unique name",
        }
        return natural.get(operation.name, "unique invoice number")
    if operation.guard is Guard.SHORT_KEY:
        return "idempotency key for minutes"
    if operation.guard is Guard.DURABLE_KEY:
        return "unique external id" if operation.name.endswith(".upsert") else "names the record by its id"
    return "none"


def test_each_write_stands_in_the_table_with_its_guard_and_quiet_period() -> None:
    rows = {(m[1].lower(), m[2]): (m[3].strip(), float(m[4])) for m in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
    declared = _declared()
    expected = {key: (_guard(each), each.quiet_period.total_seconds()) for key, each in declared.items()}
    assert rows == expected


def test_what_a_short_lived_key_guards_is_promised_only_within_the_bounds() -> None:
    text = PAGE.read_text(encoding="utf-8")
    promised = {(m[1].lower(), m[2]): m[5] for m in ROW.finditer(text)}
    for key, operation in _declared().items():
        bounded = "as long as the declared bounds hold" in promised[key]
        assert bounded == (operation.guard in (Guard.SHORT_KEY, Guard.LOOK_UP)), key


def test_every_command_that_the_page_names_is_there() -> None:
    cli = (PAGE.parent / "CLI.md").read_text(encoding="utf-8")
    for command in re.findall(r"`(tieout [a-z-]+(?: [a-z-]+)*)", PAGE.read_text(encoding="utf-8")):
        assert f"## `{command}`" in cli, command
