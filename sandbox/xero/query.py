"""`where`, `order` and pages over records. The grammar is the part of Xero's that is in README.md.

Which fields a record has, and of which type, is told by the caller; types are checked as Xero does: a GUID is compared
with Guid("..."), a date with DateTime(...), else the call is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from sandbox.state import Record
from sandbox.xero.errors import BadCall, bad_query
from sandbox.xero.wire import read_guid

MAX_PAGE_SIZE = 1000  # Xero's
PAGE_SIZE = 100  # Xero's, when pageSize is not given
MAX_WHERE = 8000  # characters; a longer one does not fit a request line either

Getter = Callable[[Record], Any]
Test = Callable[[Record], bool]


@dataclass(frozen=True, slots=True)
class Field:
    """A field that `where` and `order` may name. Types: text, guid, number, date, bool."""

    type: str
    get: Getter


Fields = Mapping[str, Field]

_GRAMMAR = Lark(
    r"""
    ?start: either
    ?either: both (_OR both)*
    ?both: unit (_AND unit)*
    ?unit: "!" unit -> negate
        | "(" either ")"
        | operand COMPARE operand -> compare
        | operand -> truth
    ?operand: operand METHOD "(" operand ")" -> method
        | operand CASE "(" ")" -> case
        | name
        | STRING -> text
        | NUMBER -> number
        | DATETIME "(" NUMBER ("," NUMBER)* ")" -> moment
        | PARSE "(" STRING ")" -> parsed
        | "Guid"i "(" STRING ")" -> guid
        | TRUE -> yes
        | FALSE -> no
        | NULL -> null
    name: NAME ("." NAME)*
    _OR: "||" | /OR\b/i
    _AND: "&&" | /AND\b/i
    COMPARE: "==" | "!=" | "<>" | "<=" | ">=" | "<" | ">" | "="
    METHOD.5: /\.\s*(StartsWith|EndsWith|Contains)(?=\s*\()/
    CASE.5: /\.\s*(ToLower|ToUpper)(?=\s*\()/
    PARSE.4: /DateTime\s*\.\s*Parse/i
    DATETIME.3: /DateTime(?=\s*\()/i
    TRUE.3: /true\b/i
    FALSE.3: /false\b/i
    NULL.3: /null\b/i
    NAME: /[A-Za-z_][A-Za-z0-9_]*/
    STRING: /"(\\.|[^"\\])*"/
    NUMBER: /-?\d+(\.\d+)?/
    %ignore /\s+/
    """,
    parser="lalr",
    maybe_placeholders=False,
)

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_METHODS: Mapping[str, Callable[[str, str], bool]] = {
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
    "Contains": str.__contains__,
}


@dataclass(frozen=True, slots=True)
class _Operand:
    type: str
    get: Getter


@v_args(inline=True)
class _Compiler(Transformer[Token, Any]):
    """Turns the tree into one function of a record."""

    def __init__(self, entity: str, fields: Fields) -> None:
        super().__init__()
        self.entity = entity
        self.fields = fields

    def name(self, *parts: Token) -> _Operand:
        path = ".".join(parts)
        field = self.fields.get(path)
        if field is None:
            raise bad_query(f"No property or field '{path}' exists in type '{self.entity}'")
        return _Operand(field.type, field.get)

    def text(self, token: Token) -> _Operand:
        return _constant("text", _unquote(token))

    def number(self, token: Token) -> _Operand:
        return _constant("number", Decimal(token))

    def moment(self, _: Token, *parts: Token) -> _Operand:
        try:
            numbers = [int(part) for part in parts]
            year, month, day, hour, minute, second = numbers + [0] * (6 - len(numbers))
            return _constant("date", datetime(year, month, day, hour, minute, second, tzinfo=UTC))
        except ValueError as error:
            raise bad_query(f"DateTime({', '.join(parts)}) is not a date") from error

    def parsed(self, _: Token, token: Token) -> _Operand:
        try:
            return _constant("date", _moment(datetime.fromisoformat(_unquote(token))))
        except ValueError as error:
            raise bad_query(f"{token} is not a date") from error

    def guid(self, token: Token) -> _Operand:
        value = read_guid(_unquote(token))
        if value is None:
            raise bad_query(f"{token} is not a Guid")
        return _constant("guid", value)

    def yes(self, _: Token) -> _Operand:
        return _constant("bool", True)

    def no(self, _: Token) -> _Operand:
        return _constant("bool", False)

    def null(self, _: Token) -> _Operand:
        return _constant("null", None)

    def case(self, operand: _Operand, method: Token) -> _Operand:
        change = str.lower if method.endswith("ToLower") else str.upper
        get = operand.get
        return _Operand("text", lambda record: None if (value := get(record)) is None else change(value))

    def method(self, operand: _Operand, method: Token, argument: _Operand) -> _Operand:
        name = method.lstrip(". ")
        if operand.type != "text" or argument.type != "text":
            raise bad_query(f"No applicable method '{name}' exists in type '{operand.type}'")
        test, get, wanted = _METHODS[name], operand.get, argument.get

        def run(record: Record) -> bool:
            value = get(record)
            if value is None:
                raise bad_query("Object reference not set to an instance of an object.")
            return test(value, wanted(record))

        return _Operand("bool", run)

    def compare(self, left: _Operand, sign: Token, right: _Operand) -> _Operand:
        types = {left.type, right.type} - {"null"}
        if len(types) > 1:
            raise bad_query(f"Operator '{sign}' incompatible with operand types '{left.type}' and '{right.type}'")
        test, a, b = _OPERATORS[sign], left.get, right.get
        if test in (operator.eq, operator.ne):
            return _Operand("bool", lambda record: test(a(record), b(record)))

        def ordered(record: Record) -> bool:
            x, y = a(record), b(record)
            return x is not None and y is not None and test(x, y)

        return _Operand("bool", ordered)

    def truth(self, operand: _Operand) -> _Operand:
        if operand.type != "bool":
            raise bad_query("Expression of type 'Boolean' expected")
        return operand

    def negate(self, operand: _Operand) -> _Operand:
        get = self.truth(operand).get
        return _Operand("bool", lambda record: not get(record))

    def either(self, *parts: _Operand) -> _Operand:
        gets = [part.get for part in parts]
        return _Operand("bool", lambda record: any(get(record) for get in gets))

    def both(self, *parts: _Operand) -> _Operand:
        gets = [part.get for part in parts]
        return _Operand("bool", lambda record: all(get(record) for get in gets))


def _constant(type_: str, value: Any) -> _Operand:
    return _Operand(type_, lambda _: value)


def _unquote(token: str) -> str:
    return token[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _moment(value: date) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


@lru_cache(maxsize=256)
def _tree(text: str) -> Any:
    return _GRAMMAR.parse(text)


def where(text: str, entity: str, fields: Fields) -> Test:
    """The filter as a function. Raises BadCall (QueryParseException)."""
    if len(text) > MAX_WHERE:
        raise bad_query("The where clause is too long")
    try:
        compiled: _Operand = _Compiler(entity, fields).transform(_tree(text))
    except RecursionError as error:
        raise bad_query("The where clause is nested too deeply") from error
    except UnexpectedInput as error:
        raise bad_query(f"Syntax error in the where clause at position {error.pos_in_stream}") from error
    except VisitError as error:
        if isinstance(error.orig_exc, BadCall):
            raise error.orig_exc from error
        if isinstance(error.orig_exc, RecursionError):
            raise bad_query("The where clause is nested too deeply") from error
        raise
    if compiled.type != "bool":
        raise bad_query("Expression of type 'Boolean' expected")
    return compiled.get


def order(text: str, entity: str, fields: Fields, records: Sequence[Record]) -> list[Record]:
    """The records in the order of `Date DESC, InvoiceNumber`; nulls first. Raises BadCall."""
    ordered = list(records)
    for part in reversed(text.split(",")):
        words = part.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1].upper() not in ("ASC", "DESC")):
            raise bad_query(f"Syntax error in the order clause {text!r}")
        field = fields.get(words[0])
        if field is None:
            raise bad_query(f"No property or field '{words[0]}' exists in type '{entity}'")
        ordered.sort(key=_sort_key(field.get), reverse=words[-1].upper() == "DESC")
    return ordered


def _sort_key(get: Getter) -> Callable[[Record], tuple[bool, Any]]:
    return lambda record: (False, 0) if (value := get(record)) is None else (True, value)


def date_field(get: Getter) -> Field:
    """A field of type date; a date counts as midnight UTC."""
    return Field("date", lambda record: None if (value := get(record)) is None else _moment(value))


def plain_fields(**types: str) -> dict[str, Field]:
    """Fields that are read from the record by their own name: InvoiceNumber="text"."""
    fields = {}
    for name, type_ in types.items():
        get = _getter(name)
        fields[name] = date_field(get) if type_ == "date" else Field(type_, get)
    return fields


def _getter(name: str) -> Getter:
    return lambda record: record.get(name)


def page_of(page: int, size: int, records: Sequence[Record]) -> tuple[Sequence[Record], dict[str, int]]:
    """One page, and what stands in `pagination`."""
    count = -(-len(records) // size)
    info = {"page": page, "pageSize": size, "pageCount": count, "itemCount": len(records)}
    return records[(page - 1) * size : page * size], info
