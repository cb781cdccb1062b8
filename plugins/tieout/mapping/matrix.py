"""The table that people ask for: CRM field | finance field | transformation, joined over the common model.

Built from the mappings alone; what a scenario does between two entities of the common model (an order becomes an
invoice) comes in as steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Literal

from tieout.mapping.spec import FieldMapping, Mapping

#: (entity.field it comes from, entity.field it goes to, how in words); both of the common model.
Step = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `direction` says who is written: `to_finance` or `to_crm`. `master` wins on both sides."""

    crm_object: str
    crm_field: str
    finance_object: str
    finance_field: str
    transformation: str
    master: str
    direction: Literal["to_finance", "to_crm"] = "to_finance"


def matrix(crm: Dict[str, Mapping], ledger: Dict[str, Mapping], steps: Sequence[Step] = ()) -> list[Row]:
    """Every native field that is written, on either side, with the fields of the other side that it is made of.

    Args:
        crm, ledger: mappings by entity.
        steps: how common fields follow from those of another entity, such as
            `("order.number", "invoice.number", "by the link's pattern")`.

    Returns:
        Rows by finance object and field. A written constant has no CRM field.
    """
    rows = list(_towards(ledger, crm, steps, "to_finance")) + list(_towards(crm, ledger, steps, "to_crm"))
    # By everything: a set has no order, and the page is compared byte by byte.
    return sorted(
        set(rows),
        key=lambda row: (
            row.direction, row.finance_object, row.finance_field, row.crm_object, row.crm_field, row.transformation,
            row.master,
        ),
    )  # fmt: skip


def as_markdown(rows: Iterable[Row]) -> str:
    """The rows as two Markdown tables, one for each direction."""
    every = list(rows)
    text: list[str] = []
    for direction, title in (
        ("to_finance", "From the CRM into the ledger"),
        ("to_crm", "From the ledger into the CRM"),
    ):
        chosen = [row for row in every if row.direction == direction]
        if not chosen:
            continue
        text += [
            f"## {title}",
            "",
            "| CRM object | CRM field | finance object | finance field | transformation | master |",
        ]
        text.append("|---|---|---|---|---|---|")
        for row in chosen:
            cells = (
                row.crm_object, row.crm_field, row.finance_object, row.finance_field, row.transformation, row.master,
            )  # fmt: skip
            text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        text.append("")
    return "\n".join(text)


def _towards(
    target: Dict[str, Mapping], source: Dict[str, Mapping], steps: Sequence[Step],
    direction: Literal["to_finance", "to_crm"],
) -> Iterator[Row]:  # fmt: skip
    for mapping in target.values():
        for native, field in mapping.write.items():
            places = list(_origins(mapping.entity, field, source, steps)) or [("", "", "", "")]
            for other_object, other_field, words, master in places:
                how = "; ".join(part for part in (words, _words(field)) if part) or "as it is"
                ours = (mapping.object, native)
                theirs = (other_object, other_field)
                left, right = (theirs, ours) if direction == "to_finance" else (ours, theirs)
                winner = field.master or master
                yield Row(*left, *right, how, winner, direction)


def _origins(
    entity: str, field: FieldMapping, source: Dict[str, Mapping], steps: Sequence[Step]
) -> Iterator[tuple[str, str, str, str]]:
    """(object, native path, words, master) of what a written field is made of."""
    for name in field.source:
        yield from _read_of(entity, name, "", source)
        for origin, goal, words in steps:
            if goal == f"{entity}.{name}":
                from_entity, _, from_name = origin.partition(".")
                yield from _read_of(from_entity, from_name, words, source)


def _read_of(entity: str, name: str, words: str, source: Dict[str, Mapping]) -> Iterator[tuple[str, str, str, str]]:
    mapping = source.get(entity)
    field = mapping.read.get(name) if mapping else None
    if mapping is None or field is None:
        return
    how = "; ".join(part for part in (_words(field), words) if part)
    for path in _paths(mapping, field):
        yield mapping.object, path, how, field.master or ""


def _paths(mapping: Mapping, field: FieldMapping) -> Iterator[str]:
    """Native paths of a read field, through common fields that it is made of."""
    if not mapping.is_staged:
        return
    declared = {staged.column: staged.path for staged in mapping.staged_entity().fields}
    for name in field.source:
        if name in declared:
            yield declared[name]
        elif name == "_modified_at":
            yield mapping.modified or ""
        elif name in mapping.read and mapping.read[name] is not field:
            yield from _paths(mapping, mapping.read[name])


def _words(field: FieldMapping) -> str:
    """What happens to a value, in words that need no knowledge of the code."""
    parts: list[str] = []
    if field.value is not None:
        parts.append(f"always {field.value}" if not field.source else f"{field.value} where there is a value")
    if field.link:
        parts.append("the link's objects" if field.link == "object" else f"the link's {field.link}")
    if field.transform:
        settings = json.dumps(field.settings, ensure_ascii=False, default=str) if field.settings else ""
        parts.append(f"{field.transform} {settings}".strip())
    if field.max_length:
        longer = {"truncate": "cut and noted", "reject": "refused", None: "refused"}[field.when_longer]
        parts.append(f"at most {field.max_length} characters, longer is {longer}")
    if field.precision is not None:
        parts.append(f"at most {field.precision} decimals")
    if field.rate:
        parts.append(field.rate.replace("_", " "))
    return "; ".join(parts)
