"""Whether mappings keep to what the vendors take (limits.py), before any record is tried on them.

Faults that make a file unusable are load.py's; what is found here is a matter of judgement: an error would lose data or
be refused by the vendor, a warning may.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Literal

from tieout.mapping.limits import limits as limits_of
from tieout.mapping.limits.fields import Limit
from tieout.mapping.load import unused_overrides
from tieout.mapping.spec import FieldMapping, Mapping, did_you_mean
from tieout.model.link import Link

Limits = dict[str, Limit]
#: Transforms whose result cannot be longer than this, whatever goes in.
_SHORT = {"country_iso2": 80, "currency_code": 3, "tax_id": 40, "xero_date": 10, "iso_instant": 30}
#: Transforms that put columns together: the result may be as long as all of them.
_JOINING = frozenset({"join_lines", "join_name"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `where` is file:line."""

    where: str
    severity: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.message}"


def lint(mappings: Iterable[Mapping], link: Link | None = None) -> list[Finding]:
    """Findings of these mappings, by file and line.

    Args:
        mappings: of one or of both systems, with the link's overrides applied where they are to be judged.
        link: tells CRM from ledger, and whether its overrides replace anything.
    """
    every = list(mappings)
    chosen = {} if link is None else link.objects
    found = [finding for mapping in every for finding in _one(mapping, every, chosen)]
    found += _masters(every)
    if link is not None:
        for key in unused_overrides(link, every):
            text = f"field_overrides '{key}' replaces nothing: no mapping has it"
            found.append(Finding(f"include/links/{link.name}.yaml", "error", text))
    return sorted(set(found), key=lambda finding: _by_line(finding.where))


def _one(mapping: Mapping, every: list[Mapping], chosen: Dict[str, str]) -> Iterator[Finding]:
    objects = limits_of(mapping.system)
    if objects is None:
        yield Finding(mapping.where("system"), "warning", f"nothing is known of the limits of '{mapping.system}'")
        return
    known = objects.get(mapping.object)
    if known is None and chosen.get(mapping.entity) == mapping.object:
        text = f"nothing is known of '{mapping.object}', which the link names: the vendor checks its fields"
        yield Finding(mapping.where("object"), "warning", text)
        return
    if known is None:
        text = f"unknown object '{mapping.object}'{did_you_mean(mapping.object, objects)}"
        yield Finding(mapping.where("object"), "error", text)
        return
    for name, column in mapping.staged.items():
        if _limit(dict(known), column.path) is None:
            text = f"unknown field '{column.path}' of {mapping.object}{did_you_mean(column.path, known)}"
            yield Finding(mapping.where("staged", name, "path"), "error", text)
    yield from _rates_read(mapping, dict(known))
    for name, field in mapping.write.items():
        yield from _written(mapping, name, field, dict(known), every)
    yield from _required(mapping, dict(known))


def _rates_read(mapping: Mapping, known: Limits) -> Iterator[Finding]:
    for name, field in mapping.read.items():
        for source in field.source:
            column = mapping.staged.get(source)
            limit = _limit(known, column.path) if column else None
            if limit is not None and limit.rate:
                yield from _direction(mapping, ("read", name), field, limit)


def _direction(mapping: Mapping, place: tuple[str, str], field: FieldMapping, limit: Limit) -> Iterator[Finding]:
    if field.rate is None:
        text = f"'{place[1]}' is an exchange rate: say its direction, 'rate: {limit.rate}'"
        yield Finding(mapping.where(*place), "error", text)
    elif field.rate != limit.rate:
        text = f"'{place[1]}': {mapping.system} gives {limit.rate}, the mapping says {field.rate}"
        yield Finding(mapping.where(*place, "rate"), "error", text)


def _written(
    mapping: Mapping, name: str, field: FieldMapping, known: Limits, every: list[Mapping]
) -> Iterator[Finding]:
    place = ("write", name)
    limit = _limit(known, name)
    if limit is None:
        text = f"unknown field '{name}' of {mapping.object}{did_you_mean(name, known)}"
        yield Finding(mapping.where(*place), "error", text)
        return
    if limit.read_only:
        text = f"'{name}' is computed by {mapping.system}: it cannot be written"
        yield Finding(mapping.where(*place), "error", text)
    if limit.rate:
        yield from _direction(mapping, place, field, limit)
    yield from _numbers(mapping, name, field, limit)
    if limit.length is not None and field.value is None and field.link is None:
        yield from _length(mapping, name, field, limit.length, every)


def _numbers(mapping: Mapping, name: str, field: FieldMapping, limit: Limit) -> Iterator[Finding]:
    if limit.precision is None:
        return
    if field.precision is None and field.value is None:
        text = f"'{name}' takes {limit.precision} decimals: say 'precision: {limit.precision}'"
        yield Finding(mapping.where("write", name), "warning", text)
    elif field.precision is not None and field.precision > limit.precision:
        text = f"'{name}' takes {limit.precision} decimals, the mapping allows {field.precision}"
        yield Finding(mapping.where("write", name, "precision"), "error", text)


def _length(mapping: Mapping, name: str, field: FieldMapping, most: int, every: list[Mapping]) -> Iterator[Finding]:
    if field.max_length is not None and field.max_length > most:
        text = f"'{name}' takes {most} characters, the mapping allows {field.max_length}"
        yield Finding(mapping.where("write", name, "max_length"), "error", text)
        return
    longest = _longest(mapping, field, every)
    allowed = field.max_length or most
    if field.when_longer is None and (longest is None or longest > allowed):
        known = "may be of any length" if longest is None else f"may have {longest} characters"
        wanted = "" if field.max_length else f"'max_length: {most}' and "
        severity: Literal["error", "warning"] = "error" if field.max_length is None else "warning"
        say = f"say {wanted}'when_longer: reject' or 'truncate'"
        text = f"'{name}' takes {allowed} characters and its source {known}: {say}"
        yield Finding(mapping.where("write", name), severity, text)


def _longest(mapping: Mapping, field: FieldMapping, every: list[Mapping]) -> int | None:
    """Greatest length of what a written field is made of, as far as the other side's limits tell; None: unknown."""
    if field.transform in _SHORT:
        return _SHORT[field.transform]
    if field.transform == "lookup" and field.settings.get("otherwise", "reject") in ("reject", "null"):
        return max((len(str(value)) for value in (field.settings.get("values") or {}).values()), default=None)
    lengths = [_length_of_common(mapping, source, every) for source in field.source]
    if not lengths or any(length is None for length in lengths):
        return None
    whole = [length for length in lengths if length is not None]
    return sum(whole) + len(whole) - 1 if field.transform in _JOINING else max(whole)


def _length_of_common(mapping: Mapping, name: str, every: list[Mapping]) -> int | None:
    """The longest that any other system's mapping can read into a common field."""
    kind = mapping.common_fields.get(name)
    if kind != "text":
        return 40  # a number, a date or a flag as text
    if name == f"{mapping.entity}_id" or name.endswith("_id"):
        return 36  # a vendor's id: 18 characters at Salesforce, a UUID at Xero
    found: list[int | None] = []
    for other in every:
        if other.entity != mapping.entity or other.system == mapping.system or name not in other.read:
            continue
        field = other.read[name]
        if field.transform in _SHORT:
            found.append(_SHORT[field.transform])
            continue
        limits = dict((limits_of(other.system) or {}).get(other.object, {}))
        for source in field.source:
            column = other.staged.get(source)
            limit = _limit(limits, column.path) if column else None
            found.append(limit.length if limit else None)
    return max((length for length in found if length), default=None) if found and all(found) else None


def _required(mapping: Mapping, known: Limits) -> Iterator[Finding]:
    # A mapping that sends only an id and fields of ours updates; one without an id creates.
    own_id = mapping.key if mapping.key in mapping.write else None
    updates_only = own_id is not None and mapping.write[own_id].when_null == "reject"
    if not mapping.write or updates_only:
        return
    for name, limit in known.items():
        if limit.required and name not in mapping.write:
            text = f"'{name}' is required by {mapping.object} and is not written"
            yield Finding(mapping.where("write"), "error", text)


def _masters(every: list[Mapping]) -> Iterator[Finding]:
    named: dict[tuple[str, str], dict[str, list[Mapping]]] = defaultdict(lambda: defaultdict(list))
    for mapping in every:
        for name, field in mapping.read.items():
            if field.master:
                named[mapping.entity, name][field.master].append(mapping)
    for (entity, name), by_master in named.items():
        if len(by_master) > 1:
            for master, mappings in by_master.items():
                for mapping in mappings:
                    other = next(found[0].where("read", name) for key, found in by_master.items() if key != master)
                    text = f"{entity}.{name} has two masters: {master} here, the other at {other}"
                    yield Finding(mapping.where("read", name, "master"), "error", text)


def _limit(known: Limits, path: str) -> Limit | None:
    return known.get(path) or known.get(re.sub(r"\[\d+\]", "[]", path))


def _by_line(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (where, 0)
