"""From a CSV folder to records and refusals, by a profile. Pure but for reading the files; nothing is guessed.

A row that cannot be read, or that refers to a row that cannot, is refused with its file and line. Every row of every
file is counted once: as read, as planned or as refused.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from tieout.model.errors import ConfigurationFault
from tieout.scenarios.crm_load import KEYS, STANDARD_PRICE_BOOK, CrmRecord, Ref
from tieout.scenarios.csv_profile import FieldSpec, Profile, Step

#: More rows than this in one file are no CSV folder of ours; use the vendor's Bulk API instead.
MAX_ROWS = 1_000_000
_COLUMN = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,12})?")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that is not loaded, and what to do. `reason` is a stable code; `line` is the line in the file."""

    file: str
    line: int
    reason: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Planned:
    """One record to load, and the row that it comes from."""

    record: CrmRecord
    file: str
    line: int
    whole: str | None  # key of the record that it is a part of


@dataclass(frozen=True, slots=True)
class Plan:
    """What a folder holds: `planned` per step of the profile, `refused`, and how many rows each file has."""

    planned: tuple[tuple[Planned, ...], ...]
    refused: tuple[Refusal, ...]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Row:
    """One row as it stands; `values` by column, None where it has another number of fields than the header."""

    line: int
    cells: list[str]
    values: Mapping[str, str] | None
    width: int


class _Bad(Exception):
    """One value of a row cannot be used."""

    def __init__(self, reason: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.reason, self.message, self.remedy = reason, message, remedy


def plan_folder(folder: Path, profile: Profile) -> Plan:
    """Reads the profile's files below `folder`.

    Raises:
        ConfigurationFault: a file is missing, is not in the profile's encoding, or lacks a column of the profile.
    """
    refused: dict[tuple[str, int], Refusal] = {}
    rows: dict[str, int] = {}
    known = {STANDARD_PRICE_BOOK}
    steps: list[list[Planned]] = []
    for step in profile.steps:
        planned: list[Planned] = []
        count = 0
        for row in _rows(folder, step, profile):
            count += 1
            try:
                one = _record(step, row, known, profile)
            except _Bad as bad:
                # A file that two steps read is one file: its row is refused once.
                refusal = Refusal(step.file, row.line, bad.reason, bad.message, bad.remedy)
                refused.setdefault((step.file, row.line), refusal)
                continue
            planned.append(one)
            known.add(one.record.key)
        rows[step.file] = count
        steps.append(planned)
    _refuse_broken_wholes(profile, steps, refused, folder)
    return Plan(tuple(tuple(step) for step in steps), tuple(sorted(refused.values(), key=_place)), rows)


def _place(refusal: Refusal) -> tuple[str, int]:
    return refusal.file, refusal.line


def _rows(folder: Path, step: Step, profile: Profile) -> Iterator[_Row]:
    path = folder / step.file
    if not path.is_file():
        raise ConfigurationFault(f"{step.file}: not in the folder; profile {profile.name!r} needs it")
    try:
        with path.open(encoding=profile.encoding, newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(step, header)
            for number, row in enumerate(reader):
                if number >= MAX_ROWS:
                    raise ConfigurationFault(f"{step.file}: more than {MAX_ROWS} rows")
                if row:
                    values = dict(zip(header, row, strict=True)) if len(row) == len(header) else None
                    yield _Row(reader.line_num, row, values, len(header))
    except UnicodeDecodeError as error:
        raise ConfigurationFault(
            f"{step.file}: not {profile.encoding} at byte {error.start}; convert it first"
        ) from None
    except csv.Error as error:
        raise ConfigurationFault(f"{step.file}:{reader.line_num}: not readable as CSV: {error}") from None


def _check_header(step: Step, header: list[str]) -> None:
    named = {spec.column for spec in step.fields.values() if spec.column}
    for template in (step.key, step.part_of, *(spec.format or spec.ref for spec in step.fields.values())):
        named |= set(_COLUMN.findall(template or ""))
    missing = sorted(named - set(header))
    if missing:
        raise ConfigurationFault(f"{step.file}:1: no column {missing[0]!r}; it has {', '.join(header)}")


def _record(step: Step, row: _Row, known: set[str], profile: Profile) -> Planned:
    if row.values is None:
        raise _Bad(
            "wrong_number_of_fields",
            f"{len(row.cells)} fields, expected {row.width}",
            "put the value with the comma in double quotes (which one it is cannot be known), then load again",
        )
    values = {name: None if text.strip() in profile.missing else text.strip() for name, text in row.values.items()}
    key = _filled(step.key, values)
    if key in known:
        raise _Bad("duplicate_key", f"{key} was met before", "remove the second row, or give it a key of its own")
    keys = KEYS[profile.system]
    fields: dict[str, Any] = {} if step.object in keys.natural else {keys.ours: key}
    for name, spec in step.fields.items():
        fields[name] = _value(name, spec, values, known)
    whole = _filled(step.part_of, values) if step.part_of else None
    return Planned(CrmRecord(step.object, key, fields), step.file, row.line, whole)


def _value(name: str, spec: FieldSpec, values: Mapping[str, str | None], known: set[str]) -> Any:
    if spec.value is not None:
        return spec.value
    if spec.standard_price_book:
        return Ref(STANDARD_PRICE_BOOK)
    if spec.format:
        return _filled(spec.format, values)
    if spec.ref:
        if spec.optional and values[spec.optional] is None:
            return None
        key = _filled(spec.ref, values)
        if key not in known:
            raise _Bad(
                "unknown_reference",
                f"{name} refers to {key}, which is in no file or was refused",
                "mend the row that it refers to, then load again",
            )
        return Ref(key)
    text = values[spec.column or ""]
    if text is None:
        if spec.otherwise is None and spec.required:
            raise _Bad("missing_value", f"{spec.column} is empty", f"enter {spec.column}, then load again")
        return spec.otherwise
    return _typed(spec, text)


def _typed(spec: FieldSpec, text: str) -> Any:
    column = spec.column or ""
    if spec.words:
        if text not in spec.words:
            known = ", ".join(spec.words)
            raise _Bad("unknown_word", f"{column}: found {text[:80]!r}, expected one of {known}", "correct the word")
        return spec.words[text]
    if spec.max_length and len(text) > spec.max_length:
        found = f"{column}: {len(text)} characters, the field takes {spec.max_length}"
        raise _Bad("too_long", found, "shorten the text, then load again")
    if spec.type == "date":
        try:
            return datetime.strptime(text, spec.date_format).date().isoformat()  # noqa: DTZ007 -- a date, no instant
        except ValueError:
            found = f"{column}: found {text[:80]!r}, expected a date like {spec.date_format}"
            raise _Bad("not_a_date", found, "correct the date, then load again") from None
    if spec.type in ("decimal", "integer"):
        if not _NUMBER.fullmatch(text) or (spec.type == "integer" and "." in text):
            found = f"{column}: found {text[:80]!r}, expected a {spec.type} number"
            raise _Bad("not_a_number", found, "correct the number, then load again")
        number = Decimal(text)
        return int(number) if spec.type == "integer" else number * spec.times if spec.times else number
    return text


def _filled(template: str, values: Mapping[str, str | None]) -> str:
    def put(match: re.Match[str]) -> str:
        value = values[match[1]]
        if value is None:
            raise _Bad("missing_value", f"{match[1]} is empty", f"enter {match[1]}, then load again")
        return value

    return _COLUMN.sub(put, template)


def _refuse_broken_wholes(
    profile: Profile, steps: list[list[Planned]], refused: dict[tuple[str, int], Refusal], folder: Path
) -> None:
    """An order of which a line was refused, or that has no line at all, is refused with all of its lines."""
    for number, step in enumerate(profile.steps):
        if step.part_of is None:
            continue
        broken = _broken_keys(step, profile, refused, folder)
        complete = {one.whole or "" for one in steps[number]} - broken
        for index, other in enumerate(profile.steps):
            if other.key == step.part_of:
                steps[index] = _kept(steps[index], refused, complete)
        steps[number] = _kept(steps[number], refused, complete)


def _broken_keys(
    step: Step, profile: Profile, refused: Mapping[tuple[str, int], Refusal], folder: Path
) -> frozenset[str]:
    """Keys of the wholes that a refused row is a part of.

    In a row with a wrong number of fields nobody knows which one names the whole: any that one of its fields could
    name is broken. Better to hold an order back than to bill it without a line.
    """
    keys = set()
    for row in _rows(folder, step, profile):
        if (step.file, row.line) not in refused:
            continue
        template = step.part_of or ""
        if row.values is not None:
            keys.add(_COLUMN.sub(partial(_named, row.values), template))
        else:
            keys |= {_COLUMN.sub(partial(_constant, text.strip()), template) for text in row.cells}
    return frozenset(keys)


def _named(values: Mapping[str, str], match: re.Match[str]) -> str:
    return values[match[1]].strip()


def _constant(text: str, _: re.Match[str]) -> str:
    return text


def _kept(planned: list[Planned], refused: dict[tuple[str, int], Refusal], complete: set[str]) -> list[Planned]:
    kept = []
    for one in planned:
        key = one.whole or one.record.key
        if key in complete:
            kept.append(one)
            continue
        refused[one.file, one.line] = Refusal(
            one.file,
            one.line,
            "incomplete",
            f"{key} is not whole: a line of it is missing or was refused",
            "mend its lines, then load again",
        )
    return kept
