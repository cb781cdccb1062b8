"""How a source record is declared for staging: read from `staged:` in include/mappings/<system>/<entity>.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["text", "integer", "decimal", "boolean", "date", "timestamp", "json"]


@dataclass(frozen=True, slots=True)
class StagedField:
    """One declared column of a staging table.

    Attributes:
        column: name in PostgreSQL, snake case.
        path: where the value stands in the vendor's record, dots for nested objects (`Account.Name`).
        type: the column's type. `decimal` is NUMERIC, `timestamp` is timestamptz in UTC.
        required: a null is a reason for quarantine.
        echo: written by Tieout itself; left out of the content hash so that our own write-back is no change.
    """

    column: str
    path: str
    type: ColumnType
    required: bool = False
    echo: bool = False


@dataclass(frozen=True, slots=True)
class StagedEntity:
    """One entity of one system as it is staged in `staging.<system>_<entity>`.

    Attributes:
        system: `salesforce`, `xero`.
        entity: the common model's word for it (`account`, `order_line`, `invoice`).
        object: the vendor's word for it (`OrderItem`, `Invoices`).
        key: path of the id in the vendor's record.
        modified: path of the modification time; None where the vendor has none (read whole each time).
        fields: the declared columns, the id's column among them.
    """

    system: str
    entity: str
    object: str
    key: str
    modified: str | None
    fields: tuple[StagedField, ...]

    @property
    def table(self) -> str:
        """Name of the staging table inside the schema `staging`."""
        return f"{self.system}_{self.entity}"
