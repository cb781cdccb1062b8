"""What a person puts down about a fact of a period's checklist: carried forward, explained, accepted as an exception.

No fact is changed by it. An act counts while what was found is still the same; when that changes, somebody looks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.errors import Fatal
from tieout.store import audit
from tieout.store.closing_tables import period_act as table
from tieout.store.encoding import clean_text

Act = Literal["carried_forward", "variance_explained", "exception_accepted"]
ACTS: tuple[Act, ...] = get_args(Act)
#: What the subject of an act begins with.
SUBJECTS: Mapping[Act, str] = {
    "carried_forward": "break:", "variance_explained": "variance:", "exception_accepted": "fact:",
}  # fmt: skip


class NotAccepted(Fatal):
    """The act cannot be put down; the message says why."""


@dataclass(frozen=True, slots=True)
class PeriodAct:
    """One act. `found`: what was found then."""

    act_id: int
    link: str
    label: str
    act: Act
    subject: str
    found: str
    actor: str
    note: str
    at: datetime


_COLUMNS = [table.c[name] for name in PeriodAct.__dataclass_fields__]


def put_down(conn: Connection, link: str, label: str, act: Act, subject: str, found: str, who: str, note: str) -> int:
    """Keeps an act and returns its id. Audited. Whether it may be is closing.accept's to say.

    Raises:
        NotAccepted: without a name or a reason.
    """
    if not who.strip() or not note.strip():
        raise NotAccepted(f"{subject} of {label}: an act needs the name of a person and a reason")
    values = {"link": link, "label": label, "act": act, "subject": subject, "found": found,
              "actor": clean_text(who.strip()), "note": clean_text(note.strip())}  # fmt: skip
    detail = {"subject": subject, "found": found, "note": values["note"]}
    audit.append(
        conn, f"link:{link}", [audit.Event(values["actor"], f"period.{act}", f"period:{link}:{label}", detail)]
    )
    made: int = conn.execute(sa.insert(table).values(**values).returning(table.c.act_id)).scalar_one()
    return made


def of_period(conn: Connection, link: str, label: str) -> Sequence[PeriodAct]:
    """All acts about a period, newest first."""
    query = sa.select(*_COLUMNS).where(table.c.link == link, table.c.label == label)
    return [PeriodAct(*row) for row in conn.execute(query.order_by(table.c.act_id.desc()))]


def standing(acts: Sequence[PeriodAct]) -> dict[tuple[str, str], PeriodAct]:
    """(subject, found) -> the newest act about just that."""
    found: dict[tuple[str, str], PeriodAct] = {}
    for one in acts:
        found.setdefault((one.subject, one.found), one)
    return found
