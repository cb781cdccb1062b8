"""What a live document of the ledger is that carries our stamp and that no crosswalk row names. Pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tieout.scenarios.billing import Row


@dataclass(frozen=True, slots=True)
class Owned:
    """An intent of ours that a stamp leads to."""

    doc_uid: str
    state: str
    vendor_id: str | None
    link: str
    source_object: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one stamped document is. `wait`: its intent is on its way, the next sweep looks again.

    Attributes:
        keeps: the ledger's id of the document that stays, for a `duplicate`.
        owned: the intent, for everything but an `orphan`.
    """

    what: Literal["duplicate", "orphan", "unaccounted", "wait"]
    row: Row
    keeps: str | None = None
    owned: Owned | None = None


def verdicts(rows: Sequence[Row], owned: Sequence[Owned], link: str) -> list[Verdict]:
    """What the live documents of one stamp are that no crosswalk row names.

    Args:
        rows: those documents, in the common model; at least one.
        owned: the intents of that stamp, whatever became of them.
        link: the link that sweeps; documents of another link are that one's.
    """
    if not owned:
        return [Verdict("orphan", row) for row in rows]
    ours = [one for one in owned if one.link == link]
    if not ours:
        return []
    confirmed = [one for one in ours if one.state == "CONFIRMED"]
    if confirmed:
        return [Verdict("duplicate", row, confirmed[-1].vendor_id, confirmed[-1]) for row in rows]
    last = ours[-1]
    if last.state in ("REJECTED", "CANCELLED"):
        return [Verdict("unaccounted", row, None, last) for row in rows]
    if last.state != "HELD" or len(rows) == 1:
        return [Verdict("wait", row, None, last) for row in rows]
    oldest, *later = sorted(rows, key=lambda row: (row["modified_at"], row["number"] or "", row["_source_id"]))
    # The one that stays is looked at again: once its intent is settled, it is in the crosswalk or accounted for.
    doubles = [Verdict("duplicate", row, oldest["_source_id"], last) for row in later]
    return [Verdict("wait", oldest, None, last), *doubles]
