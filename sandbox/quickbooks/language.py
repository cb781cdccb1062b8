"""Intuit's query language: its grammar and the tree made of it. AND only; no OR, no brackets, no joins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput

from sandbox.quickbooks.errors import query_syntax

MAX_LENGTH = 100_000  # characters of one query

_GRAMMAR = r"""
query: SELECT _items FROM NAME where? order? (start | most)*
_items: count | item ("," item)*
count: COUNT
item: STAR | NAME | PATH
where: WHERE condition (AND condition)*
condition: field OPERATOR _value | field LIKE string | field IN "(" _value ("," _value)* ")"
order: (ORDERBY | ORDER_BY) sort ("," sort)*
sort: field DIRECTION?
start: STARTPOSITION NUMBER
most: MAXRESULTS NUMBER
field: NAME | PATH
_value: string | number | boolean
string: STRING
number: NUMBER
boolean: BOOLEAN

SELECT.5: /select\b/i
FROM.5: /from\b/i
WHERE.5: /where\b/i
AND.5: /and\b/i
LIKE.5: /like\b/i
IN.5: /in\b/i
ORDERBY.6: /orderby\b/i
ORDER_BY.6: /order\s+by\b/i
STARTPOSITION.5: /startposition\b/i
MAXRESULTS.5: /maxresults\b/i
DIRECTION.5: /(asc|desc)\b/i
BOOLEAN.5: /(true|false)\b/i
COUNT.6: /count\s*\(\s*\*\s*\)/i
STAR: "*"
OPERATOR: "<=" | ">=" | "=" | "<" | ">"
NUMBER.2: /-?\d+(\.\d+)?/
STRING: /'([^'\\]|\\.)*'/s
PATH.1: /[a-z]\w*(\.[a-z]\w*)+/i
NAME: /[a-z]\w*/i
%ignore /[\s;]+/
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """`operator` is one of = < > <= >= like in; `values` holds one value, for `in` one or more."""

    field: str
    operator: str
    values: tuple[str | Decimal | bool, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """`fields` is empty for count(*); `start` counts from 1."""

    entity: str
    fields: tuple[str, ...]
    where: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()  # (field, whether descending)
    start: int | None = None
    most: int | None = None

    @property
    def is_count(self) -> bool:
        return not self.fields


class _Builder(Transformer[Any, Query]):
    def query(self, children: list[Any]) -> Query:
        entity = next(one for one in children if isinstance(one, Token) and one.type == "NAME")
        clauses: dict[str, Any] = dict(one for one in children if isinstance(one, tuple))
        fields = tuple(str(one) for one in children if type(one) is str)
        return Query(str(entity), fields, **clauses)

    def count(self, _: list[Any]) -> None:
        return None

    @v_args(inline=True)
    def item(self, token: Token) -> str:
        return str.__str__(token)

    def where(self, children: list[Any]) -> tuple[str, Any]:
        return "where", tuple(one for one in children if isinstance(one, Condition))

    def condition(self, children: list[Any]) -> Condition:
        field, operator, *values = children
        return Condition(field, str(operator).lower(), tuple(values))

    def order(self, children: list[Any]) -> tuple[str, Any]:
        return "order", tuple(one for one in children if isinstance(one, tuple))

    def sort(self, children: list[Any]) -> tuple[str, bool]:
        return children[0], len(children) > 1 and children[1].lower() == "desc"

    def start(self, children: list[Any]) -> tuple[str, int]:
        return "start", _whole(children[1])

    def most(self, children: list[Any]) -> tuple[str, int]:
        return "most", _whole(children[1])

    @v_args(inline=True)
    def field(self, token: Token) -> str:
        return str.__str__(token)

    @v_args(inline=True)
    def string(self, token: Token) -> str:
        return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)

    @v_args(inline=True)
    def number(self, token: Token) -> Decimal:
        return Decimal(token)

    @v_args(inline=True)
    def boolean(self, token: Token) -> bool:
        return token.lower() == "true"


def _whole(token: Token) -> int:
    # Intuit's words for a fraction or a negative number here are not known to us.
    return int(token) if token.isdecimal() and len(token) < 16 else -1


_PARSER = Lark(_GRAMMAR, parser="lalr", start="query", maybe_placeholders=False)
_BUILDER = _Builder()


@lru_cache(maxsize=256)
def parse(text: str) -> Query:
    """The tree of a query. Raises Refused 4000."""
    if len(text) > MAX_LENGTH:
        raise query_syntax(f"Invalid content. The query is longer than {MAX_LENGTH} characters.")
    try:
        return _BUILDER.transform(_PARSER.parse(text))
    except UnexpectedInput as error:
        token = getattr(error, "token", None)
        if token is not None:
            found = "<EOF>" if token.type == "$END" else str(token)
            raise query_syntax(f'Encountered "{found}" at line {error.line}, column {error.column}.') from None
        place = error.pos_in_stream or 0
        words = f"Invalid content. Lexical error at line {error.line}, column {error.column}."
        raise query_syntax(f'{words}  Encountered: "{text[place : place + 1]}"') from None
