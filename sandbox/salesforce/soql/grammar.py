"""The grammar of SOQL, and the parser made of it. AND and OR mix only with parentheses, as in Salesforce."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput

from sandbox.salesforce.errors import ApiError
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

MAX_LENGTH = 100_000  # characters of one query
_GRAMMAR = r"""
query: SELECT _items FROM NAME alias? where? group? order? limit? offset?
_items: item ("," item)*
?item: path | COUNT_ALL -> count_all | FIELDS -> all_fields | "(" query ")" | AGGREGATE path ")" NAME? -> aggregate
alias: NAME
where: WHERE _condition
group: GROUP_BY path ("," path)*
order: ORDER_BY sort ("," sort)*
sort: path DIRECTION? NULLS?
limit: LIMIT NUMBER
offset: OFFSET NUMBER
_condition: _simple | conjunction | disjunction
conjunction: _simple (AND _simple)+
disjunction: _simple (OR _simple)+
_simple: "(" _condition ")" | negation | compare | like | inside
negation: NOT _simple
compare: path OPERATOR _value
like: path LIKE string
inside: path NOT? IN "(" (_value ("," _value)* | query) ")"
path: NAME | PATH
_value: string | number | datetime | date | boolean | null | dateliteral
string: STRING
number: NUMBER
datetime: DATETIME
date: DATE
boolean: BOOLEAN
null: NULL
dateliteral: DATELITERAL

SELECT.5: /select\b/i
FROM.5: /from\b/i
WHERE.5: /where\b/i
GROUP_BY.5: /group\s+by\b/i
ORDER_BY.5: /order\s+by\b/i
LIMIT.5: /limit\b/i
OFFSET.5: /offset\b/i
AND.5: /and\b/i
OR.5: /or\b/i
NOT.5: /not\b/i
IN.5: /in\b/i
LIKE.5: /like\b/i
DIRECTION.5: /(asc|desc)\b/i
NULLS.5: /nulls\s+(first|last)\b/i
COUNT_ALL.6: /count\s*\(\s*\)/i
FIELDS.6: /fields\s*\(\s*(all|standard|custom)\s*\)/i
AGGREGATE.5: /(count_distinct|count|sum|min|max|avg)\s*\(/i
BOOLEAN.5: /(true|false)\b/i
NULL.5: /null\b/i
DATELITERAL.4: /[a-z]+(_([a-z]+|\d+))*(:\d+)?/i
DATETIME.4: /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})/i
DATE.3: /\d{4}-\d{2}-\d{2}/
NUMBER.2: /[+-]?\d+(\.\d+)?/
STRING: /'([^'\\]|\\.)*'/s
OPERATOR: "!=" | "<>" | "<=" | ">=" | "=" | "<" | ">"
PATH.1: /[a-z]\w*(\.[a-z]\w*)+/i
NAME: /[a-z]\w*/i
%ignore /\s+/
"""
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


class _Clause(tuple[str, Any]):
    """(name of a part of the query, what it holds)."""

    __slots__ = ()


def _tokens(children: list[Any]) -> list[Any]:
    return [one for one in children if not isinstance(one, Token)]


class _Builder(Transformer[Any, Query]):
    """Tree of lark -> tree.py."""

    def query(self, children: list[Any]) -> Query:
        source = next(one for one in children if isinstance(one, Token) and one.type == "NAME")
        clauses = {one[0]: one[1] for one in children if isinstance(one, _Clause)}
        items = tuple(one for one in _tokens(children) if not isinstance(one, _Clause))
        return Query(items, str(source), (source.start_pos or 0) + 1, **clauses)

    def alias(self, children: list[Any]) -> _Clause:
        return _Clause(("alias", str(children[0])))

    def where(self, children: list[Any]) -> _Clause:
        return _Clause(("where", children[1]))

    def group(self, children: list[Any]) -> _Clause:
        return _Clause(("group", tuple(_tokens(children))))

    def order(self, children: list[Any]) -> _Clause:
        return _Clause(("order", tuple(_tokens(children))))

    def limit(self, children: list[Any]) -> _Clause:
        return _Clause(("limit", int(Decimal(children[1]))))

    def offset(self, children: list[Any]) -> _Clause:
        return _Clause(("offset", int(Decimal(children[1]))))

    def sort(self, children: list[Any]) -> Sort:
        words = [one.lower() for one in children[1:]]
        return Sort(children[0], "desc" in words, any(word.endswith("last") for word in words))

    def conjunction(self, children: list[Any]) -> Junction:
        return Junction("and", tuple(_tokens(children)))

    def disjunction(self, children: list[Any]) -> Junction:
        return Junction("or", tuple(_tokens(children)))

    def negation(self, children: list[Any]) -> Not:
        return Not(children[1])

    def compare(self, children: list[Any]) -> Compare:
        path, operator, value = children
        return Compare(path, "!=" if operator == "<>" else str(operator), value)

    def like(self, children: list[Any]) -> Compare:
        return Compare(children[0], "like", children[2])

    def inside(self, children: list[Any]) -> In:
        negated = any(isinstance(one, Token) and one.type == "NOT" for one in children)
        path, *values = _tokens(children)
        if isinstance(values[0], Query):
            return In(path, negated, values[0])
        return In(path, negated, tuple(values))

    @v_args(inline=True)
    def path(self, token: Token) -> Path:
        return Path(tuple(token.split(".")), (token.start_pos or 0) + 1)

    def count_all(self, _: list[Any]) -> CountAll:
        return CountAll()

    @v_args(inline=True)
    def all_fields(self, token: Token) -> AllFields:
        return AllFields(token.partition("(")[2].strip(" )\t\n").lower())

    def aggregate(self, children: list[Any]) -> Aggregate:
        alias = str(children[2]) if len(children) > 2 else None
        return Aggregate(children[0].rstrip("( \t\n").lower(), children[1], alias)

    @v_args(inline=True)
    def string(self, token: Token) -> Literal:
        return Literal("string", unescape(token[1:-1]))

    @v_args(inline=True)
    def number(self, token: Token) -> Literal:
        return Literal("number", Decimal(token))

    @v_args(inline=True)
    def datetime(self, token: Token) -> Literal:
        return Literal("datetime", str(token))

    @v_args(inline=True)
    def date(self, token: Token) -> Literal:
        return Literal("date", str(token))

    @v_args(inline=True)
    def boolean(self, token: Token) -> Literal:
        return Literal("boolean", token.lower() == "true")

    def null(self, _: list[Any]) -> Literal:
        return Literal("null", None)

    @v_args(inline=True)
    def dateliteral(self, token: Token) -> Literal:
        name, _, number = token.upper().partition(":")
        return Literal("dateliteral", (name, int(number) if number else None))


_PARSER = Lark(_GRAMMAR, parser="lalr", start="query", maybe_placeholders=False)
_BUILDER = _Builder()


def unescape(text: str) -> str:
    r"""The text of a string literal: `\'` and the like resolved. `\%` and `\_` stay for LIKE."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL)


def complaint(text: str, column: int, message: str) -> str:
    """The message with the place in the query that it is about."""
    start = max(0, column - 41)
    shown = re.sub(r"\s", " ", text[start : column + 40])
    return f"\n{shown}\n{' ' * (column - 1 - start)}^\nERROR at Row:1:Column:{column}\n{message}"


@lru_cache(maxsize=256)
def parse(text: str) -> Query:
    """The tree of a query. Raises ApiError 400 MALFORMED_QUERY."""
    if len(text) > MAX_LENGTH:
        raise ApiError(400, "QUERY_TOO_COMPLICATED", f"SOQL statements cannot be longer than {MAX_LENGTH} characters.")
    try:
        return _BUILDER.transform(_PARSER.parse(text))
    except UnexpectedInput as error:
        place = -1 if error.pos_in_stream is None else error.pos_in_stream
        at_end = not 0 <= place < len(text) or getattr(error, "token", None) == ""
        column = max(len(text), 1) if at_end else place + 1
        found = re.match(r"\w+|.", text[column - 1 :], re.DOTALL) if not at_end else None
        token = found[0] if found else "<EOF>"
        raise ApiError(400, "MALFORMED_QUERY", complaint(text, column, f"unexpected token: '{token}'")) from None
