"""Which links there are and when their DAGs run: read at every DAG parse, so YAML and no more.

The whole of a link is read and judged by mapping/load.py when a run starts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tieout.model.link import Schedule


@dataclass(frozen=True, slots=True)
class LinkCard:
    """What a DAG needs to know of its link.

    Attributes:
        always_told: the reconciliation's notice goes out also when nothing is new.
        fault: why the file cannot be used, `file: sentence`; the link's DAGs then run by hand only, and fail saying so.
    """

    name: str
    file: Path
    time_zone: str = "UTC"
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
    schedules: Schedule = Schedule()
    notify: tuple[str, ...] = ()
    reconciliation: _Told = _Told()
    owners: dict[str, str] = {}


def link_cards(folder: Path) -> list[LinkCard]:
    """A card for each `*.yaml` in `folder`, by file name; a file that cannot be read gives a card with its fault."""
    return [_card(file) for file in sorted(folder.glob("*.yaml"))]


def _card(file: Path) -> LinkCard:
    try:
        needed = _Needed.model_validate(yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER))
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
    return LinkCard(
        name=needed.name,
        file=file,
        time_zone=needed.time_zone,
        schedule=needed.schedules,
        notify=needed.notify,
        always_told=needed.reconciliation.notify == "always",
        owners=tuple(sorted(set(needed.owners.values()))),
    )


# libyaml's loader is ten times faster than the pure Python one; both are "safe": plain data only.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
