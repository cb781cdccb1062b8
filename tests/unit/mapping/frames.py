"""Frames as staging reads them, made of a mapping's declaration; no logic of the mapping itself."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tieout.mapping.columns import object_frame
from tieout.mapping.load import load_link, load_system
from tieout.mapping.spec import Mapping
from tieout.model.link import Link

INCLUDE = Path(__file__).parents[3] / "include"
MODIFIED = pd.Timestamp("2026-03-01T10:00:00", tz="UTC")

# store/staged_frames.py has this table; a test of the scenarios holds the two together.
DTYPES: dict[str, Any] = {
    "text": "string", "json": "string", "integer": "Int64", "boolean": "boolean",
    "decimal": pd.ArrowDtype(pa.decimal128(38, 18)), "date": pd.ArrowDtype(pa.date32()),
    "timestamp": pd.DatetimeTZDtype("us", "UTC"),
}  # fmt: skip


@cache
def mappings(system: str) -> dict[str, Mapping]:
    return load_system(INCLUDE / "mappings", system)


@cache
def demo_link() -> Link:
    return load_link(INCLUDE / "links" / "demo.yaml")


def staged(mapping: Mapping, *rows: Dict[str, Any]) -> pd.DataFrame:
    """A staged frame; columns that a row does not name are null."""
    kinds = {field.column: field.type for field in mapping.staged_entity().fields}
    for row in rows:
        assert row.keys() <= kinds.keys(), row.keys() - kinds.keys()
    columns: dict[str, Any] = {
        name: pd.Series([row.get(name) for row in rows], dtype=DTYPES[kind]) for name, kind in kinds.items()
    }
    columns["_source_id"] = pd.Series([row.get("id") for row in rows], dtype="string")
    columns["_version"] = pd.Series(range(1, len(rows) + 1), dtype="Int64")
    columns["_modified_at"] = pd.Series([MODIFIED] * len(rows), dtype=DTYPES["timestamp"])
    return pd.DataFrame(columns)


def common(*rows: Dict[str, Any]) -> pd.DataFrame:
    """A common frame as scenarios make it: objects, None for what is missing."""
    return object_frame(rows)


def values(series: pd.Series[Any]) -> list[Any]:
    return [None if value is None or value is pd.NA or value is pd.NaT else value for value in series]
