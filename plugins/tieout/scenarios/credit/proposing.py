"""A file of limits becomes a change that waits for approval, against the CRM's accounts as they were last read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, text

from tieout.mapping.compile import compile_read
from tieout.mapping.load import apply_overrides, load_system
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link
from tieout.model.settings import Settings
from tieout.scenarios.credit.planning import ENTITY
from tieout.scenarios.credit.policy_file import Customer, Refusal, read
from tieout.scenarios.frames import rows
from tieout.store import credit, staging

#: SQLSTATE of a table that is not there.
NO_TABLE = "42P01"


@dataclass(frozen=True, slots=True)
class Proposed:
    """What became of a file: a change, or refusals; `unchanged` limits are in force as the file says them."""

    change_id: int | None
    proposed: int
    unchanged: int
    refusals: tuple[Refusal, ...] = ()


def propose_file(engine: Engine, settings: Settings, link: Link, file: Path, by: str) -> Proposed:
    """`propose` for a file on this machine.

    Raises:
        ConfigurationFault: the file cannot be read; and as `propose`.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationFault(f"{file}: cannot be read: {type(error).__name__}") from error
    return propose(engine, settings, link, content, file.name, by)


def propose(engine: Engine, settings: Settings, link: Link, content: bytes, source: str, by: str) -> Proposed:
    """Proposes the limits of a file that are not in force already; nothing where a line is refused.

    Args:
        content: the file's; `source` is its name.

    Raises:
        ConfigurationFault: it is no text in UTF-8, or no account of the CRM was read yet.
    """
    known = customers(engine, settings, link)
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise ConfigurationFault(f"{source}: cannot be read as text in UTF-8; save it as CSV in UTF-8") from error
    with engine.begin() as conn:
        now: datetime = conn.execute(text("select now()")).scalar_one()
        in_force = credit.in_force(conn, link.name, now.astimezone(ZoneInfo(link.time_zone)).date())
        found = read(lines, known, in_force)
        if found.refusals:
            return Proposed(None, 0, 0, found.refusals)
        new = [one for one in found.limits if not _same(one, in_force.get(one.account_id))]
        unchanged = len(found.limits) - len(new)
        if not new:
            return Proposed(None, 0, unchanged)
        return Proposed(credit.propose(conn, link.name, new, by, source), len(new), unchanged)


def customers(engine: Engine, settings: Settings, link: Link) -> list[Customer]:
    """The CRM's accounts, from staging.

    Raises:
        ConfigurationFault: none was read yet.
    """
    mapping = apply_overrides(load_system(settings.include / "mappings", link.crm_system)[ENTITY], link)
    try:
        frame = staging.read(engine, mapping.staged_entity(), link.crm)
    except Exception as error:
        if getattr(getattr(error, "orig", error), "sqlstate", None) != NO_TABLE:
            raise
        frame = None
    if frame is None or frame.empty:
        raise ConfigurationFault(
            f"no account of {link.crm} was read yet: run `tieout credit-sync {link.name}` once, then import again"
        )
    return [
        Customer(row["account_id"], row["name"], row["number"], row["currency"], row["parent_id"])
        for row in rows(compile_read(mapping, link)(frame).frame)
    ]


def _same(new: credit.Limit, there: credit.Limit | None) -> bool:
    """The limit in force says the same already: the same day and the same amount or share."""
    return there is not None and (new.valid_from, new.currency, new.limit_minor, new.shares_with) == (
        there.valid_from, there.currency, there.limit_minor, there.shares_with
    )  # fmt: skip
