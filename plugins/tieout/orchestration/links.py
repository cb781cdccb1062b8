"""Which links there are and when their DAGs run: read at every DAG parse, so YAML and no more.

The whole of a link is read and judged by mapping/load.py when a run starts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tieout.model import calendar as fiscal
from tieout.model.calendar import Calendar
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Schedule
from tieout.model.settings import PROJECT


@dataclass(frozen=True, slots=True)
class LinkCard:
    """What a DAG needs to know of its link.

    Attributes:
        calendar: of the fiscal periods; calendar months where the link's own cannot be used, which `fault` then says.
        always_told: the reconciliation's notice goes out also when nothing is new.
        fault: why the file cannot be used, `file: sentence`; the link's DAGs then run by hand only, and fail saying so.
    """

    name: str
    file: Path
    time_zone: str = "UTC"
    calendar: Calendar = fiscal.CALENDAR_MONTHS
    schedule: Schedule = field(default_factory=Schedule)
    notify: tuple[str, ...] = ()
    always_told: bool = False
    owners: tuple[str, ...] = ()
    fault: str | None = None


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore")

    notify: Literal["always", "when_something"] = "when_something"


class _Needed(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    time_zone: str = "UTC"
    calendar: str = fiscal.DEFAULT
    schedules: Schedule = Schedule()
    notify: tuple[str, ...] = ()
    reconciliation: _Told = _Told()
    owners: dict[str, str] = {}


def link_cards(folder: Path, calendars: Path | None = None) -> list[LinkCard]:
    """A card for each `*.yaml` in `folder`, by file name; a file that cannot be used gives a card with its fault.

    Args:
        calendars: folder of the calendars; default `include/calendars` of the project.
    """
    return [_card(file, calendars or PROJECT / "include" / "calendars") for file in sorted(folder.glob("*.yaml"))]


def _card(file: Path, calendars: Path) -> LinkCard:
    try:
        needed = _Needed.model_validate(yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return LinkCard(name=file.stem, file=file, fault=f"{file.name}: cannot be read as YAML: {error}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return LinkCard(name=file.stem, file=file, fault=f"{file.name}: {where}: {first['msg']}")
    if needed.name != file.stem:
        return LinkCard(
            name=file.stem, file=file, fault=f"{file.name}: name: expected {file.stem!r}, found {needed.name!r}"
        )
    try:
        ZoneInfo(needed.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return LinkCard(
            name=file.stem, file=file, fault=f"{file.name}: time_zone: unknown time zone {needed.time_zone!r}"
        )
    card = LinkCard(
        name=needed.name,
        file=file,
        time_zone=needed.time_zone,
        schedule=needed.schedules,
        notify=needed.notify,
        always_told=needed.reconciliation.notify == "always",
        owners=tuple(sorted(set(needed.owners.values()))),
    )
    try:
        return replace(card, calendar=_calendar(calendars, needed.calendar))
    except ConfigurationFault as fault:
        return replace(card, fault=f"{file.name}: calendar: {fault}")


def _calendar(folder: Path, name: str) -> Calendar:
    """As mapping/load.py reads it, without the lines of its faults.

    Raises:
        ConfigurationFault: it cannot be used.
    """
    files = {file.stem: file for file in folder.glob("*.yaml")}
    if name not in files:
        if name == fiscal.DEFAULT:
            return fiscal.CALENDAR_MONTHS
        raise ConfigurationFault(
            f"no calendar {name!r}: include/calendars has {', '.join(sorted({*files, fiscal.DEFAULT}))}"
        )
    try:
        data = yaml.load(files[name].read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationFault(f"{name}.yaml: cannot be read as YAML: {error}") from error
    return fiscal.parse(name, data if isinstance(data, dict) else {})


# libyaml's loader is ten times faster than the pure Python one; both are "safe": plain data only.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the machine knows which
    """Days stay the texts that they are, as in mapping/load.py: a bad one is its field's fault, not the file's."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)
