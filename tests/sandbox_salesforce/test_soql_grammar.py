"""What the grammar takes and what it refuses, with the words of Salesforce."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.soql.grammar import parse
from sandbox.salesforce.soql.tree import (
    Aggregate,
    AllFields,
    Compare,
    CountAll,
    In,
    Junction,
    Literal,
    Not,
    Path,
    Query,
    Sort,
)


def test_fields_paths_and_child_selects() -> None:
    query = parse("SELECT Id, Account.Owner.Name, (SELECT Id FROM OrderItems LIMIT 3) FROM Order")
    first, path, child = query.select
    assert isinstance(first, Path) and first.parts == ("Id",)
    assert isinstance(path, Path) and path.parts == ("Account", "Owner", "Name")
    assert isinstance(child, Query) and child.source == "OrderItems" and child.limit == 3
    assert query.source == "Order"


def test_keywords_may_be_any_case_and_objects_may_be_keywords() -> None:
    query = parse("select id from Order order by Type desc nulls last, Id limit 5 offset 2")
    assert query.source == "Order"
    assert [(one.path.parts, one.descending, one.nulls_last) for one in query.order] == [
        (("Type",), True, True),
        (("Id",), False, False),
    ]
    assert (query.limit, query.offset) == (5, 2)
    assert isinstance(query.order[0], Sort)


def test_conditions_nest() -> None:
    where = parse("SELECT Id FROM A WHERE a = 1 AND (b = 'x' OR NOT c LIKE 'y%') AND d IN ('p','q')").where
    assert isinstance(where, Junction) and where.word == "and" and len(where.parts) == 3
    inner = where.parts[1]
    assert isinstance(inner, Junction) and inner.word == "or"
    assert isinstance(inner.parts[1], Not)
    last = where.parts[2]
    assert isinstance(last, In) and [one.value for one in last.values] == ["p", "q"]  # type: ignore[union-attr]  # a tuple here


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("'it\\'s'", Literal("string", "it's")),
        ("'a\\nb'", Literal("string", "a\nb")),
        ("-12.50", Literal("number", Decimal("-12.50"))),
        ("true", Literal("boolean", True)),
        ("null", Literal("null", None)),
        ("2026-01-31", Literal("date", "2026-01-31")),
        ("2026-01-31T10:00:00.5+02:00", Literal("datetime", "2026-01-31T10:00:00.5+02:00")),
        ("TODAY", Literal("dateliteral", ("TODAY", None))),
        ("last_n_days:30", Literal("dateliteral", ("LAST_N_DAYS", 30))),
    ],
)
def test_literals(text: str, literal: Literal) -> None:
    where = parse(f"SELECT Id FROM A WHERE x = {text}").where
    assert isinstance(where, Compare) and where.value == literal


def test_counts_fields_and_functions() -> None:
    assert isinstance(parse("SELECT COUNT() FROM A").select[0], CountAll)
    assert parse("SELECT FIELDS(Standard) FROM A LIMIT 200").select == (AllFields("standard"),)
    query = parse("SELECT StageName, SUM(Amount) total FROM Opportunity GROUP BY StageName")
    assert isinstance(query.select[1], Aggregate)
    assert (query.select[1].function, query.select[1].alias) == ("sum", "total")


def test_alias_and_semi_join() -> None:
    query = parse("SELECT o.Id FROM Order o WHERE o.Id NOT IN (SELECT OrderId FROM OrderItem WHERE Quantity > 1)")
    assert query.alias == "o"
    assert isinstance(query.where, In) and query.where.negated and isinstance(query.where.values, Query)


@pytest.mark.parametrize(
    ("text", "column", "token"),
    [
        ("SELECT Id FORM Account", 11, "FORM"),
        ("SELECT Id FROM Account WHERE Name IS NULL", 35, "IS"),
        ("SELECT Id FROM Account WHERE a = 1 AND b = 2 OR c = 3", 46, "OR"),
        ("SELECT Id\nFROM Account WHERE Name ==", 36, "="),
        ("SELECT Id FROM", 14, "<EOF>"),
        ("SELECT * FROM Account", 8, "*"),
        ("", 1, "<EOF>"),
    ],
)
def test_malformed_queries_say_where(text: str, column: int, token: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(text)
    error = caught.value.errors[0]
    assert caught.value.status == 400 and error["errorCode"] == "MALFORMED_QUERY"
    assert error["message"].endswith(f"ERROR at Row:1:Column:{column}\nunexpected token: '{token}'")
