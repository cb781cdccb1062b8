"""Reads mapping, link and calendar files. A fault is a ConfigurationFault: file:line, what is there, what was meant.

    include/mappings/xero/invoice.yaml:12: unknown field 'Ammount'; did you mean 'Amount'?

All faults of a file are told at once, a line for each. Nothing here imports pandas before a mapping file is read.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

from tieout.mapping.spec import FieldMapping, Mapping, Place, did_you_mean, mappings_hash, problems
from tieout.model import calendar as fiscal
from tieout.model.calendar import Calendar
from tieout.model.common import ENTITIES
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link
from tieout.model.money import exponent

__all__ = [
    "apply_overrides", "load_calendar", "load_link", "load_links", "load_mapping", "load_system", "load_yaml",
    "mappings_hash", "unused_overrides",
]  # fmt: skip

Model = TypeVar("Model", bound=BaseModel)
#: Entities whose common fields come from the CRM: a link's override of one of them replaces what is read there.
_FROM_CRM = frozenset({"account", "contact", "product", "price", "quote", "order", "opportunity", "order_line",
                       "quote_line", "opportunity_line", "exchange_rate"})  # fmt: skip


class _ExactConstructor(RoundTripConstructor):
    """Reads 33.3 as a Decimal: a percentage or an amount in a file is exact; and a day as its text."""

    def construct_exact(self, node: ScalarNode) -> Any:
        text = node.value.replace("_", "")
        return Decimal(text) if text.lstrip("+-")[:1] in "0123456789." and text[-1:] not in "fFnN" else text

    def construct_text(self, node: ScalarNode) -> Any:
        return node.value


_ExactConstructor.add_constructor("tag:yaml.org,2002:float", _ExactConstructor.construct_exact)
# A day stays the text that it is until its field is judged: of 2026-13-31 the library says neither file nor line.
_ExactConstructor.add_constructor("tag:yaml.org,2002:timestamp", _ExactConstructor.construct_text)


def load_mapping(path: Path) -> Mapping:
    """One mapping file.

    Raises:
        ConfigurationFault: unreadable, unknown names, settings that do not fit, or a place that does not match its
            `system` and `entity`.
    """
    return _load_mapping(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=256)
def _load_mapping(path: Path, changed: int) -> Mapping:
    mapping, lines = _load(path, Mapping, _mapping_problems(path))
    mapping._file, mapping._lines = _shown(path), lines
    return mapping


def load_system(include_dir: Path, system: str) -> dict[str, Mapping]:
    """Every mapping of a system by entity, from `include_dir/<system>/*.yaml`.

    Args:
        include_dir: the folder `include/mappings`.

    Raises:
        ConfigurationFault: no such system, or a fault in a file.
    """
    files = sorted((include_dir / system).glob("*.yaml"))
    if not files:
        known = sorted(folder.name for folder in include_dir.glob("*") if folder.is_dir())
        raise ConfigurationFault(f"{_shown(include_dir)}: no mappings for '{system}'{did_you_mean(system, known)}")
    return {mapping.entity: mapping for mapping in map(load_mapping, files)}


def load_link(path: Path) -> Link:
    """One link file, `include/links/<name>.yaml`, its policies checked against each other, and its calendar's file.

    Raises:
        ConfigurationFault: with file:line of each fault.
    """
    link, _ = _load(path, Link, partial(_link_problems, path.parent.parent))
    return link


def load_calendar(include: Path, name: str) -> Calendar:
    """The calendar of `include/calendars/<name>.yaml`; `calendar_months` needs no file.

    Raises:
        ConfigurationFault: no such calendar, naming those that are there; or with file:line of each fault in it.
    """
    files = {file.stem: file for file in sorted((include / "calendars").glob("*.yaml"))}
    if name not in files:
        if name == fiscal.DEFAULT:
            return fiscal.CALENDAR_MONTHS
        known = sorted({*files, fiscal.DEFAULT})
        raise ConfigurationFault(f"no calendar '{name}': include/calendars has {', '.join(known)}")
    path = files[name]
    document = _read(path)
    kind = str(document.get("kind", "nothing"))
    if kind not in fiscal.KINDS:
        choices = f"expected {', '.join(fiscal.KINDS)}, found '{kind}'{did_you_mean(kind, fiscal.KINDS)}"
        raise _fault(path, [(_line_of(document, ("kind",)), f"'kind': {choices}")])
    definition, _ = _load(path, fiscal.KINDS[kind], fiscal.problems)
    return Calendar(name, definition)


def load_yaml(path: Path, model: type[Model], check: Callable[[Model], Iterator[tuple[Place, str]]]) -> Model:
    """Any other file of settings as its frozen model. Raises ConfigurationFault with file:line for each fault.

    Args:
        check: what types alone cannot find, as (place, what is wrong).
    """
    return _load(path, model, check)[0]


def load_links(folder: Path) -> dict[str, Link]:
    """Every link in `folder/*.yaml` by name. Raises ConfigurationFault, also for two links of one name."""
    found: dict[str, Link] = {}
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        link = load_link(path)
        if link.name in found:
            where = f"{_shown(path)}:{_line_of(_read(path), ('name',))}"
            raise ConfigurationFault(f"{where}: the name '{link.name}' is taken by {_shown(files[link.name])}")
        found[link.name], files[link.name] = link, path
    return found


def apply_overrides(mapping: Mapping, link: Link) -> Mapping:
    """The mapping with the link's `objects` and `field_overrides`.

    `account.name` replaces what the CRM's mapping reads into that field; `invoice.reference`, of an entity that only
    the ledger has, the native field that the ledger's mapping writes from it; `account.Name` a native field.

    Raises:
        ConfigurationFault: an override that is no field mapping, or names what does not exist.
    """
    if mapping.entity in link.objects and mapping.is_staged:
        mapping = mapping.model_copy(update={"object": link.objects[mapping.entity]})
    places = {key: place for key in link.field_overrides if (place := _place_of(mapping, key, link))}
    if not places:
        return mapping
    changed: dict[str, dict[str, FieldMapping]] = {"read": dict(mapping.read), "write": dict(mapping.write)}
    for key, (half, name) in places.items():
        try:
            changed[half][name] = FieldMapping.model_validate(link.field_overrides[key])
        except ValidationError as error:
            fault = _sentence(error.errors(include_url=False)[0], FieldMapping)
            raise ConfigurationFault(f"link {link.name}: field_overrides '{key}': {fault}") from None
    made = mapping.model_copy(update=changed)
    for where, message in problems(made):
        key = next((key for key, target in places.items() if target == where[:2]), "")
        raise ConfigurationFault(f"link {link.name}: field_overrides '{key}': {message}")
    return made


def unused_overrides(link: Link, mappings: list[Mapping]) -> list[str]:
    """Keys of `field_overrides` that replace nothing in any of these mappings."""
    return [key for key in link.field_overrides if not any(_place_of(mapping, key, link) for mapping in mappings)]


def _place_of(mapping: Mapping, key: str, link: Link) -> tuple[Literal["read", "write"], str] | None:
    entity, _, name = key.partition(".")
    if entity != mapping.entity:
        return None
    if name in mapping.write:
        return "write", name
    if entity in _FROM_CRM:
        return ("read", name) if name in mapping.read and mapping.system == link.crm_system else None
    return next((("write", native) for native, field in mapping.write.items() if field.source == (name,)), None)


def _mapping_problems(path: Path) -> Callable[[Mapping], Iterator[tuple[Place, str]]]:
    def check(mapping: Mapping) -> Iterator[tuple[Place, str]]:
        if mapping.entity != path.stem:
            yield ("entity",), f"the file is named {path.name}: expected entity '{path.stem}', found '{mapping.entity}'"
        if mapping.system != path.parent.name:
            yield ("system",), f"the folder is {path.parent.name}: expected that system, found '{mapping.system}'"
        yield from problems(mapping)

    return check


def _link_problems(include: Path, link: Link) -> Iterator[tuple[Place, str]]:
    try:
        load_calendar(include, link.calendar)
    except ConfigurationFault as fault:
        yield ("calendar",), str(fault)
    if link.time_zone not in available_timezones():
        yield (
            ("time_zone",),
            f"unknown time zone '{link.time_zone}'{did_you_mean(link.time_zone, available_timezones())}",
        )
    else:
        ZoneInfo(link.time_zone)
    try:
        exponent(link.base_currency)
    except ValueError as error:
        yield ("base_currency",), str(error)
    known = [folder.name for folder in sorted((include / "mappings").glob("*")) if folder.is_dir()]
    for setting in ("crm_system", "ledger_system"):
        system = getattr(link, setting)
        if known and system not in known:
            yield (setting,), f"no mappings for '{system}'{did_you_mean(system, known)}"
    if link.crm == link.ledger:
        yield ("ledger",), f"'crm' and 'ledger' are the same connection, '{link.crm}'"
    split = link.policies.split
    at = ("policies", "split")
    if (split.rule == "percentages") != bool(split.parts):
        yield at, "'parts' go with 'rule: percentages' and only with it"
    if (split.rule == "schedule") != bool(split.schedules):
        yield at, "'schedules' go with 'rule: schedule' and only with it"
    groups = [
        ((*at, "parts"), split.parts),
        *(((*at, "schedules", key), parts) for key, parts in split.schedules.items()),
    ]
    for place, parts in groups:
        total = sum((part.percent for part in parts), Decimal(0))
        if parts and total != 100:
            yield place, f"the percentages must sum to 100, found {total}"
        if any(part.percent <= 0 for part in parts):
            yield place, "each part needs a percentage above 0"
    yield from _number_problems(link.policies.invoice_number)
    for name, cron in link.schedules.model_dump().items():
        if cron is not None and len(cron.split()) != 5 and not cron.startswith("@"):
            yield ("schedules", name), f"expected cron's five fields, found '{cron}'"
    for key in link.field_overrides:
        entity, dot, name = key.partition(".")
        if not dot or not name:
            yield ("field_overrides", key), f"expected 'entity.field', found '{key}'"
        elif entity not in ENTITIES:
            yield ("field_overrides", key), f"unknown entity '{entity}'{did_you_mean(entity, ENTITIES)}"


def _number_problems(pattern: str) -> Iterator[tuple[Place, str]]:
    place = ("policies", "invoice_number")
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        yield place, f"'{pattern}' is no pattern: {error}"
        return
    if "number" not in names:
        yield place, f"expected {{number}} in the pattern, found '{pattern}'"
    for name in names:
        if name != "number":
            yield place, f"unknown part '{{{name}}}'{did_you_mean(name, ['number'])}"


# Reading YAML, and from a fault's place to its line.


def _load(
    path: Path, model: type[Model], check: Callable[[Model], Iterator[tuple[Place, str]]]
) -> tuple[Model, dict[Place, int]]:
    document = _read(path)
    try:
        made = model.model_validate(_plain(document))
    except ValidationError as error:
        found = [
            (_line_of(document, fault["loc"]), _sentence(fault, model)) for fault in error.errors(include_url=False)
        ]
        raise _fault(path, found) from None
    found = [(_line_of(document, place), message) for place, message in check(made)]
    if found:
        raise _fault(path, found)
    return made, _lines(document)


def _fault(path: Path, found: list[tuple[int, str]]) -> ConfigurationFault:
    unique = sorted(dict.fromkeys(found))
    return ConfigurationFault("\n".join(f"{_shown(path)}:{line}: {message}" for line, message in unique))


def _read(path: Path) -> CommentedMap:
    yaml = YAML(typ="rt")
    yaml.Constructor = _ExactConstructor
    try:
        document = yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationFault(f"{_shown(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationFault(f"{_shown(path)}: expected UTF-8, found other bytes at {error.start}") from error
    except YAMLError as error:
        marked = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = marked.line + 1 if marked else 1
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise ConfigurationFault(f"{_shown(path)}:{line}: not YAML: {problem}") from error
    if not isinstance(document, CommentedMap):
        raise ConfigurationFault(f"{_shown(path)}:1: expected keys and values, found {_kind(document)}")
    return document


def _kind(document: Any) -> str:
    return "nothing" if document is None else "a list" if isinstance(document, CommentedSeq) else "a single value"


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {_key(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None or isinstance(node, Decimal):
        return node
    if isinstance(node, int):
        return int(node)
    return str(node)


def _key(key: Any) -> str:
    # `true:` and `200:` as keys of a table mean the texts.
    return str(key).lower() if isinstance(key, bool) else str(key)


def _lines(node: Any, place: Place = ()) -> dict[Place, int]:
    found: dict[Place, int] = {}
    if isinstance(node, CommentedMap):
        for key, value in node.items():
            found[(*place, _key(key))] = node.lc.key(key)[0] + 1
            found.update(_lines(value, (*place, _key(key))))
    elif isinstance(node, CommentedSeq):
        for number, value in enumerate(node):
            found[(*place, number)] = node.lc.item(number)[0] + 1
            found.update(_lines(value, (*place, number)))
    return found


def _line_of(document: CommentedMap, place: Place) -> int:
    lines = _lines(document)
    for end in range(len(place), 0, -1):
        if place[:end] in lines:
            return lines[place[:end]]
    return 1


def _sentence(fault: Any, model: type[BaseModel]) -> str:
    """One pydantic error in the words of the file."""
    place, kind = fault["loc"], fault["type"]
    name = str(place[-1]) if place else ""
    around = ".".join(str(part) for part in place[:-1])
    inside = f" in '{around}'" if around else ""
    if kind == "extra_forbidden":
        return f"unknown field '{name}'{inside}{did_you_mean(name, _known(model, place[:-1]))}"
    if kind == "missing":
        return f"'{name}' is missing{inside}"
    found = fault["input"]
    if kind == "literal_error":
        choices = [choice.strip("' ") for choice in fault["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        hint = did_you_mean(str(found), choices)
        return f"'{name}'{inside}: expected {', '.join(choices)}, found '{found}'{hint}"
    if kind == "string_type" and isinstance(found, int | Decimal):
        return f"'{name}'{inside}: expected a text in quotes, found {found}"
    return f"'{name}'{inside}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, found {_brief(found)}"


def _brief(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 60 else text[:57] + "..."


def _known(model: type[BaseModel], place: Place) -> list[str]:
    """Names that may stand at a place of a model."""
    here: Any = model
    for part in place:
        here = _inside(here, part)
    if isinstance(here, type) and issubclass(here, BaseModel):
        return [field.alias or name for name, field in here.model_fields.items()]
    return []


def _inside(here: Any, part: str | int) -> Any:
    if isinstance(here, type) and issubclass(here, BaseModel):
        fields = {field.alias or name: field for name, field in here.model_fields.items()}
        return fields[str(part)].annotation if str(part) in fields else None
    if get_origin(here) is dict:
        return get_args(here)[1]
    if get_origin(here) is tuple:
        return get_args(here)[0]
    return None


def _shown(path: Path) -> str:
    """From `include` on, as a person knows the file; no folder of the machine."""
    parts = path.parts
    if "include" in parts:
        return "/".join(parts[len(parts) - 1 - parts[::-1].index("include") :])
    return "/".join(parts[-3:]) if len(parts) > 3 else str(path)
