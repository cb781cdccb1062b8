"""Suites of expectations as files: expectations/<system>/<entity>.json in Great Expectations' own form.

Each expectation's `meta` says what a failure means:

    severity   stop: nothing of this batch goes on; quarantine: the row does not; warn: it is reported
    reason     stable code in snake case; dead letters are grouped by it
    expected   what would have been right, in words (`a quantity above zero`)
    remedy     what a person does about it

The suite's own `meta.touched_by` names staged tables, its own too, whose changes make a row worth checking again:
`{"table": "salesforce_order_line", "column": "parent_id", "ours": "_source_id"}`. With `"when": "was"` it is what the
changed rows had before that counts: who gave a number away lets the row go that it was taken from.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tieout.model.errors import ConfigurationFault

Severity = Literal["stop", "quarantine", "warn"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_META = ("severity", "reason", "expected", "remedy")
_COLUMNS = ("column", "column_A", "column_B")


@dataclass(frozen=True, slots=True)
class Expected:
    """One expectation of a suite. `kwargs` are Great Expectations' own."""

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    reason: str
    expected: str
    remedy: str


@dataclass(frozen=True, slots=True)
class TouchedBy:
    """Changed rows of staging.<table> whose `column` equals our column `ours` make our row worth checking again.

    `when`: `is`, by what the changed rows have now; `was`, by what they had before.
    """

    table: str
    column: str
    ours: str
    when: Literal["is", "was"] = "is"

    @property
    def mark(self) -> str:
        """Names how far it was looked at, beside the entity's own."""
        return f"{self.table}.{self.column}" + ("~was" if self.when == "was" else "")


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite as its file has it."""

    name: str
    path: Path
    about: str
    expectations: tuple[Expected, ...]
    touched_by: tuple[TouchedBy, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a suite's file, as lint says it."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def load(path: Path) -> Suite:
    """Reads a suite.

    Raises:
        ConfigurationFault: it is missing or does not hold, with file:line of the first fault.
    """
    text = _read(path)
    faults = list(_faults(path, text, None, None))
    if faults:
        raise ConfigurationFault(str(faults[0]))
    document = json.loads(text)
    meta = document.get("meta", {})
    return Suite(
        name=document["name"],
        path=path,
        about=meta.get("about", ""),
        expectations=tuple(
            Expected(one["type"], one["kwargs"], *(one["meta"][name] for name in _META))
            for one in document["expectations"]
        ),
        touched_by=tuple(TouchedBy(**one) for one in meta.get("touched_by", [])),
    )


def suites_hash(folder: Path) -> str:
    """SHA-256 over names and bytes of every suite below a folder: the same files give the same hash anywhere."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("**/*.json")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def lint(
    folder: Path, columns: Callable[[str, str], Collection[str] | None] = lambda system, entity: None
) -> list[Fault]:
    """Everything that is wrong with the suites below a folder. Imports Great Expectations, for its list of types.

    Args:
        folder: expectations/.
        columns: (system, entity) -> the columns that such a suite may name; None where that is not known.
    """
    from tieout.quality.gx import known_types

    types = known_types()
    return [
        fault
        for path in sorted(folder.glob("*/*.json"))
        for fault in _faults(path, _read(path), types, columns(path.parent.name, path.stem))
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationFault(f"{path}: the suite cannot be read: {error.strerror}") from None


def _faults(path: Path, text: str, types: Collection[str] | None, columns: Collection[str] | None) -> Iterator[Fault]:
    try:
        document = json.loads(text)
    except ValueError as error:
        yield Fault(path, getattr(error, "lineno", 1), f"no JSON: {error}")
        return
    if not isinstance(document, dict) or not isinstance(document.get("expectations"), list):
        yield Fault(path, 1, "expected an object with `name` and a list `expectations`")
        return
    if document.get("name") != (name := f"{path.parent.name}_{path.stem}"):
        yield Fault(path, 1, f"the suite's name is {document.get('name')!r}, expected {name!r}")
    for key in document.keys() - {"name", "meta", "expectations"}:
        yield Fault(path, 1, f"unknown key {key!r}{_meant(key, ('name', 'meta', 'expectations'))}")
    for touched in document.get("meta", {}).get("touched_by", []):
        if not isinstance(touched, dict) or touched.keys() - {"when"} != {"table", "column", "ours"}:
            yield Fault(path, 1, "each of meta.touched_by has table, column and ours")
        elif touched.get("when", "is") not in ("is", "was"):
            yield Fault(path, 1, f"when of meta.touched_by is 'is' or 'was', not {touched['when']!r}")
    lines = _lines(text)
    seen: list[Any] = []
    for number, one in enumerate(document["expectations"]):
        line = lines[number] if number < len(lines) else 1
        for message in _wrong(one, types, columns):
            yield Fault(path, line, message)
        if one in seen:
            yield Fault(path, line, "the same expectation stands in the suite twice")
        seen.append(one)


def _wrong(one: Any, types: Collection[str] | None, columns: Collection[str] | None) -> Iterator[str]:
    if not isinstance(one, dict) or not isinstance(one.get("type"), str) or not isinstance(one.get("kwargs"), dict):
        yield "an expectation has `type`, `kwargs` and `meta`"
        return
    if types is not None and one["type"] not in types:
        yield f"unknown expectation {one['type']!r}{_meant(one['type'], types)}"
    meta = one.get("meta")
    if not isinstance(meta, dict):
        yield f"{one['type']} has no `meta`: expected {', '.join(_META)}"
        return
    for name in _META:
        if not isinstance(meta.get(name), str) or not meta[name].strip():
            yield f"{one['type']}: meta.{name} is missing"
    severity = meta.get("severity")
    if isinstance(severity, str) and severity not in SEVERITIES:
        yield f"unknown severity {severity!r}, expected one of {', '.join(SEVERITIES)}{_meant(severity, SEVERITIES)}"
    if isinstance(meta.get("reason"), str) and not re.fullmatch(r"[a-z][a-z0-9_]*", meta["reason"]):
        yield f"reason {meta['reason']!r} is no code in snake case"
    if columns is not None:
        for name in _COLUMNS:
            if (column := one["kwargs"].get(name)) is not None and column not in columns:
                yield f"unknown column {column!r}{_meant(column, columns)}"


def _lines(text: str) -> list[int]:
    """The line of each expectation's `type`, in order."""
    return [text.count("\n", 0, match.start()) + 1 for match in re.finditer(r'"type"\s*:', text)]


def _meant(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
