"""State: what is put survives a restart exactly; a failed transaction leaves no trace."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.state import State, decode, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.just(UTC))
    | st.datetimes()
    | st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc$ d", min_size=1), inner, max_size=4),
)


def same(left: Any, right: Any) -> bool:
    """Equal with equal types and equal exponents, which == does not ask of 1, True and Decimal('1.0')."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return str(left) == str(right)


@given(st.dictionaries(st.text("abcd$", min_size=1), VALUES, max_size=5))
@settings(max_examples=200, deadline=None)
def test_records_survive_encoding_exactly(record: dict[str, Any]) -> None:
    assert same(decode(encode(record)), record)


def test_a_key_that_would_be_taken_for_a_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        encode({"a": {"\0decimal": "1"}})
    assert decode(encode({"text": '{"\0decimal'})) == {"text": '{"\0decimal'}


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    record = {"total": Decimal("10.50"), "at": datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "on": date(2026, 1, 2), "n": 1}
    state = State(tmp_path / "s.sqlite")
    table = state.table("invoices")
    for number in range(3):
        table.put(f"id{number}", record | {"number": number})
    table.delete("id1")
    table.put("id0", record | {"number": 9})
    state.settings["limits"] = {"minute": None}
    # Not closed: a killed process does not close its file either.
    again = State(tmp_path / "s.sqlite")
    assert list(again.table("invoices").items()) == [("id0", record | {"number": 9}), ("id2", record | {"number": 2})]
    assert same(again.table("invoices")["id0"], record | {"number": 9})
    assert again.settings["limits"] == {"minute": None}
    assert set(again.tables()) == {"invoices"}


def test_a_failed_transaction_is_taken_back_in_memory_index_and_file(tmp_path: Path) -> None:
    state = State(tmp_path / "s.sqlite")
    table = state.table("contacts")
    by_name = table.index("name")
    table.put("a", {"name": "Ann", "tags": ["x"]})
    with pytest.raises(RuntimeError), state.transaction():
        table["a"]["tags"].append("changed in place")
        table.put("a", {"name": "Bob", "tags": []})
        table.put("b", {"name": "Cy"})
        with state.transaction():
            table.delete("a")
        raise RuntimeError
    for seen in (state, State(tmp_path / "s.sqlite")):
        assert dict(seen.table("contacts").items()) == {"a": {"name": "Ann", "tags": ["x"]}}
    assert by_name("Ann") == [{"name": "Ann", "tags": ["x"]}]
    assert by_name("Bob") == [] and by_name("Cy") == []


def test_a_record_that_cannot_be_stored_is_taken_back(tmp_path: Path) -> None:
    state = State(tmp_path / "s.sqlite")
    with pytest.raises(TypeError, match="set"):
        state.table("t").put("a", {"bad": {1}})
    assert "a" not in state.table("t")


def test_index_follows_changes(tmp_path: Path) -> None:
    state = State(tmp_path / "s.sqlite")
    table = state.table("t")
    table.put("1", {"n": "x"})
    index = table.index("n")
    lower = table.index("lower", lambda record: record["n"].lower() if record["n"] else None)
    table.put("2", {"n": "X"})
    table.put("3", {"n": None})
    assert [r["n"] for r in lower("x")] == ["x", "X"]
    table.put("1", {"n": "y"})
    table.delete("2")
    assert index("x") == [] and lower.first("x") is None
    assert index.first("y") == {"n": "y"}
    state.clear()
    assert index("y") == [] and len(table) == 0
    assert len(State(tmp_path / "s.sqlite").table("t")) == 0


def test_clock_is_moved_by_its_setting(tmp_path: Path) -> None:
    state = State(tmp_path / "s.sqlite")
    state.settings["clock_offset_seconds"] = 3600
    assert timedelta(minutes=59) < state.clock() - datetime.now(UTC) < timedelta(minutes=61)
