"""Salesforce's formula language, as far as validation rules need it: parsed when a rule is deployed, then evaluated.

Deploying checks names and the use of picklists, as Salesforce does. Numbers are Decimals. A blank number makes
arithmetic blank and a comparison false. Reference: "Formula Operators and Functions" of Salesforce's help.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.salesforce.fields import Field, SObject
from sandbox.salesforce.values import WIDE

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org
    from sandbox.state import Record

MOST_LEVELS = 10  # of relationships in one name, and of nested functions that anybody writes
MOST_CHARACTERS = 3_900  # of a formula
_TOKEN = re.compile(
    r"""\s*(?:/\*.*?\*/\s*)*(?:(?P<number>\d+(?:\.\d+)?)|"(?P<text>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'
    |(?P<name>[A-Za-z_$][\w.$]*)|(?P<sign>&&|\|\||<>|!=|<=|>=|==|[-+*/=<>!&(),]))""",
    re.VERBOSE | re.DOTALL,
)
#: Functions that take a picklist as it is; everywhere else it has to be TEXT() first.
_TAKE_PICKLISTS = frozenset(("ISPICKVAL", "TEXT", "ISCHANGED", "PRIORVALUE", "ISBLANK", "ISNULL"))
_ARGUMENTS = {  # function -> fewest and most arguments
    "AND": (1, 255), "OR": (1, 255), "NOT": (1, 1), "IF": (3, 3), "ISBLANK": (1, 1), "ISNULL": (1, 1),
    "BLANKVALUE": (2, 2), "NULLVALUE": (2, 2), "ISPICKVAL": (2, 2), "TEXT": (1, 1), "PRIORVALUE": (1, 1),
    "ISCHANGED": (1, 1), "ISNEW": (0, 0), "CURRENCYRATE": (1, 1), "ABS": (1, 1), "MAX": (1, 255), "MIN": (1, 255),
}  # fmt: skip
_LEVELS = (("||",), ("&&",), ("=", "==", "<>", "!=", "<", ">", "<=", ">="), ("+", "-", "&"), ("*", "/"))


class BadFormula(ValueError):
    """The formula cannot be deployed; the message is in Salesforce's words."""


@dataclass(frozen=True, slots=True)
class Node:
    """`kind`: literal, field, call, operator. `value`: the literal, the field's path, the function or the sign."""

    kind: str
    value: Any
    parts: tuple[Node, ...] = ()


def parse(text: str, objects: Mapping[str, SObject], sobject: SObject) -> Node:
    """The formula as a tree, its names checked. Raises BadFormula."""
    if len(text) > MOST_CHARACTERS:
        raise BadFormula(f"Formula is too long ({len(text)} characters). Maximum length is 3,900 characters")
    reader = _Reader(text)
    node = reader.level(0)
    if reader.here is not None:
        raise BadFormula(f"Syntax error. Extra '{reader.here[1]}'")
    _check(node, objects, sobject, within=None)
    return node


def holds(node: Node, org: Org, sobject: SObject, old: Record | None, new: Record) -> bool:
    """Whether the condition is true of the record that is about to be saved."""
    return _Evaluation(org, sobject, old, new).of(node) is True


class _Reader:
    """The tokens of one formula, read from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place = 0
        text = text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise BadFormula(f"Syntax error. Found '{text[place : place + 20].strip()}'")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            place = match.end()
        self._at = 0

    @property
    def here(self) -> tuple[str, str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def level(self, number: int) -> Node:
        """An expression of operators of this level and those that bind more tightly."""
        if number == len(_LEVELS):
            return self._unary()
        node = self.level(number + 1)
        while self.here is not None and self.here[0] == "sign" and self.here[1] in _LEVELS[number]:
            sign = self._next()[1]
            node = Node("operator", sign, (node, self.level(number + 1)))
        return node

    def _unary(self) -> Node:
        if self.here in (("sign", "-"), ("sign", "!")):
            return Node("operator", self._next()[1], (self._unary(),))
        kind, value = self._next()
        if kind == "number":
            return Node("literal", Decimal(value))
        if kind in ("text", "single"):
            return Node("literal", re.sub(r"\\(.)", r"\1", value))
        if kind == "name":
            return self._name(value)
        if value == "(":
            node = self.level(0)
            self._expect(")")
            return node
        raise BadFormula(f"Syntax error. Found '{value}'")

    def _name(self, name: str) -> Node:
        if self.here == ("sign", "("):
            return self._call(name.upper())
        constants: dict[str, Any] = {"TRUE": True, "FALSE": False, "NULL": None}
        return Node("literal", constants[name.upper()]) if name.upper() in constants else Node("field", name)

    def _call(self, name: str) -> Node:
        if name not in _ARGUMENTS:
            raise BadFormula(f"Unknown function {name}. Check spelling.")
        self._next()
        parts: list[Node] = []
        while self.here != ("sign", ")"):
            parts.append(self.level(0))
            if self.here == ("sign", ","):
                self._next()
            elif self.here != ("sign", ")"):
                raise BadFormula("Syntax error. Missing ')'")
        self._expect(")")
        fewest, most = _ARGUMENTS[name]
        if not fewest <= len(parts) <= most:
            words = f"expected {fewest}, received {len(parts)}"
            raise BadFormula(f"Incorrect number of parameters for function '{name}()'. {words}")
        return Node("call", name, tuple(parts))

    def _next(self) -> tuple[str, str]:
        if self.here is None:
            raise BadFormula("Syntax error. The formula ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, sign: str) -> None:
        if self._next() != ("sign", sign):
            raise BadFormula(f"Syntax error. Missing '{sign}'")


def _check(node: Node, objects: Mapping[str, SObject], sobject: SObject, within: str | None) -> None:
    if node.kind == "field":
        field = _field(node.value, objects, sobject)
        if field.type == "picklist" and within not in _TAKE_PICKLISTS:
            raise BadFormula(
                f"Field {node.value} is a picklist field. Picklist fields are only supported in certain functions."
            )
        if within in ("PRIORVALUE", "ISCHANGED") and "." in node.value:
            raise BadFormula(f"Function {within} may not be used on related fields: {node.value}")
    for part in node.parts:
        _check(part, objects, sobject, node.value if node.kind == "call" else None)


def _field(path: str, objects: Mapping[str, SObject], sobject: SObject) -> Field:
    *steps, name = path.split(".")
    if len(steps) > MOST_LEVELS:
        raise BadFormula(f"Too many relationships in {path}")
    for step in steps:
        reference = sobject.relationships.get(step.lower())
        if reference is None:
            raise BadFormula(f"Field {path} does not exist. Check spelling.")
        sobject = objects[reference.reference_to[0]]
    found = sobject.find(name)
    if found is None:
        raise BadFormula(f"Field {path} does not exist. Check spelling.")
    return found


class _Evaluation:
    """One formula over one record."""

    def __init__(self, org: Org, sobject: SObject, old: Record | None, new: Record) -> None:
        self._org, self._sobject, self._old, self._new = org, sobject, old, new

    def of(self, node: Node) -> Any:
        if node.kind == "literal":
            return node.value
        if node.kind == "field":
            return self._value(node.value, self._new)
        if node.kind == "operator":
            return _operate(node.value, [self.of(part) for part in node.parts])
        return self._call(node.value, node.parts)

    def _call(self, name: str, parts: Sequence[Node]) -> Any:
        if name == "AND":
            return all(self.of(part) is True for part in parts)
        if name == "OR":
            return any(self.of(part) is True for part in parts)
        if name == "IF":
            return self.of(parts[1] if self.of(parts[0]) is True else parts[2])
        if name == "ISNEW":
            return self._old is None
        if name == "ISCHANGED":
            path = parts[0].value
            return self._old is not None and self._value(path, self._old) != self._value(path, self._new)
        if name == "PRIORVALUE":
            return self._value(parts[0].value, self._new if self._old is None else self._old)
        return self._plain(name, [self.of(part) for part in parts])

    def _plain(self, name: str, values: Sequence[Any]) -> Any:
        first = values[0]
        if name == "NOT":
            return first is not True
        if name in ("ISBLANK", "ISNULL"):
            return first in (None, "")
        if name in ("BLANKVALUE", "NULLVALUE"):
            return values[1] if first in (None, "") else first
        if name == "ISPICKVAL":
            return (first or "") == (values[1] or "")
        if name == "TEXT":
            return "" if first is None else str(first)
        if name == "CURRENCYRATE":
            return self._rate(first)
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values):
            return None
        return abs(numbers[0]) if name == "ABS" else (max if name == "MAX" else min)(numbers)

    def _rate(self, code: Any) -> Decimal:
        """The standard rate, units for one of the corporate currency; 1 for a currency that is not known."""
        for one in self._org.table("CurrencyType").values():
            if one["IsoCode"] == code:
                return Decimal(one["ConversionRate"])
        return Decimal(1)

    def _value(self, path: str, record: Record | None) -> Any:
        *steps, name = path.split(".")
        sobject = self._sobject
        for step in steps:
            reference = sobject.relationships[step.lower()]
            sobject = self._org.schema.objects[reference.reference_to[0]]
            id_ = None if record is None else record.get(reference.name)
            record = None if id_ is None else self._org.get(sobject.name, id_)
        field = sobject.find(name)
        return None if record is None or field is None else record.get(field.name)


def _operate(sign: str, values: Sequence[Any]) -> Any:
    if sign == "!":
        return values[0] is not True
    if sign in ("&&", "||"):
        both = [value is True for value in values]
        return all(both) if sign == "&&" else any(both)
    if sign in ("=", "==", "<>", "!="):
        same = (values[0] or None) == (values[1] or None) if _texts(values) else values[0] == values[1]
        return same if sign in ("=", "==") else not same
    if any(value is None for value in values):
        return False if sign in ("<", ">", "<=", ">=") else None
    if len(values) == 1:
        return WIDE.minus(values[0])
    if sign in ("&", "+") and _texts(values):
        return f"{values[0]}{values[1]}"
    return _NUMBERS[sign](*values)


def _texts(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


_NUMBERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "+": WIDE.add,
    "-": WIDE.subtract,
    "*": WIDE.multiply,
    "/": lambda a, b: None if b == 0 else WIDE.divide(a, b),
}
