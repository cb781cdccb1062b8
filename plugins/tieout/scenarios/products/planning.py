"""Judges items and plans what the CRM has to be told, a chunk at a time; a chunk is one transaction.

Called again after delivery, when the CRM was read anew: an item counts as posted only once the CRM shows all of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from tieout.connectors import exact_json
from tieout.delivery import intents
from tieout.delivery.intents import NewIntent
from tieout.model.errors import Rejection
from tieout.model.identity import doc_uid, idempotency_key
from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.frames import chunks
from tieout.scenarios.products.catalogue import (
    ENTITY,
    Chunk,
    Rules,
    highest_revisions,
    load_rules,
    read_chunk,
    to_judge,
)
from tieout.scenarios.products.rules import Wanted, wanted
from tieout.scenarios.products.writes import PRICE, PRODUCT, Asked, Write, price_kind, waiting_for, writes
from tieout.scenarios.quarantine import hold_of
from tieout.scenarios.services import Services
from tieout.store import audit, dead_letters, documents
from tieout.store.documents import Judgement, Outcome

#: States of an intent whose end is open.
UNDER_WAY = ("READY", "CLAIMED", "IN_FLIGHT", "UNKNOWN")
FAILED = ("HELD", "REJECTED")
#: Writes that make a record of the CRM, and the states in which the record may be there already.
MAKING = ("products.upsert", "prices.create")
MAY_BE_SENT = ("CLAIMED", "IN_FLIGHT", "UNKNOWN")
DISCONTINUED = "discontinued"


@dataclass
class _Plan:
    """What becomes of one item. `standing`: what was sent before is under way, or failed with a reason."""

    judgement: Judgement
    hold: Hold | None = None
    new: list[Write] = field(default_factory=list)
    standing: Row | None = None


@dataclass(frozen=True)
class _Work:
    """A chunk with what is wanted of it, and what that comes to."""

    services: Services
    rules: Rules
    chunk: Chunk
    revisions: Mapping[tuple[str, str], int]
    settling: bool = False

    def is_new(self, item: str) -> bool:
        """Whether the item, its product or a price was read anew, or replayed, since it was judged last."""
        previous = self.chunk.previous.get(item)
        return not self.settling and previous is not None and self.chunk.versions[item] > previous.seen_version

    def uid(self, item: str, kind: str, revision: int) -> str:
        link, object_ = self.services.link, self.services.ledger.mappings[ENTITY].object
        return doc_uid(link.name, link.ledger, object_, item, kind, revision)

    def next_revision(self, item: str, kind: str) -> int:
        return self.revisions.get((item, kind), 0) + 1


def plan(services: Services, run_id: UUID, *, settling: bool = False) -> dict[str, int]:
    """Judges all items that are new, changed or open, and plans what has to be written.

    Args:
        settling: what was delivered is brought to its end; what was refused is not tried again.

    Returns:
        Counts: `judged` and one for each outcome; `intents` planned; `put_back`, fields of finance that somebody had
        changed in the CRM.

    Raises:
        ConfigurationFault: the price list or the price book that the link names is not there.
    """
    rules = load_rules(services)
    versions = to_judge(services, rules)
    counts: Counter[str] = Counter()
    for ids in chunks(sorted(versions)):
        counts.update(_plan_chunk(services, rules, {key: versions[key] for key in ids}, run_id, settling))
    return dict(counts)


def _plan_chunk(
    services: Services, rules: Rules, versions: Mapping[str, int], run_id: UUID, settling: bool
) -> Counter[str]:
    chunk = read_chunk(services, versions)
    with services.engine.connect() as conn:
        work = _Work(services, rules, chunk, highest_revisions(conn, services, versions), settling)
    verdicts = {item: _verdict(work, item) for item in versions}
    plans = {item: _Plan(_judgement(work, item, verdict)) for item, verdict in verdicts.items()}
    for item, verdict in verdicts.items():
        if isinstance(verdict, Hold):
            plans[item].hold = verdict
    asked = list(_products(work, verdicts))
    _take(work, plans, *writes(services, ENTITY, asked, _crm_mastered(rules)))
    asked = list(_prices(work, plans, verdicts))
    _take(work, plans, *writes(services, PRICE, asked))
    with services.engine.begin() as conn:
        replaced = _replaced(work, plans)
        gone = intents.cancel(conn, services.crm.name, sorted(replaced), run_id, services.actor, "superseded")
        _keep(work, plans, replaced - gone)
        new = [write for each in plans.values() if each.hold is None for write in each.new]
        # In this order they are claimed: whole batches of products, then of the prices that wait for them.
        new.sort(key=lambda write: (write.asked.entity != ENTITY, write.operation, bool(write.asked.depends_on[1:])))
        edits = {write.asked.key: fields for write in new if (fields := _edited(work, write))}
        judgements = [_outcome(each) for each in plans.values()]
        added = intents.add(conn, [_intent(work, write) for write in new], run_id, services.actor)
        audit.append(conn, f"link:{services.link.name}", list(_events(services, edits, run_id)))
        documents.upsert(conn, services.link.name, ENTITY, judgements, run_id)
        _letters(conn, services, judgements, plans, run_id)
    counts: Counter[str] = Counter(judgement.outcome for judgement in judgements)
    put_back = sum(len(fields) for fields in edits.values())
    counts.update(judged=len(judgements), intents=len(added.new), put_back=put_back)
    return counts


# --- what is wanted ---------------------------------------------------------------------------------------------------


def _verdict(work: _Work, item: str) -> Wanted | Hold | None:
    """What the item is to be in the CRM; None where it is not sold (any more)."""
    chunk, rules = work.chunk, work.rules
    if item in chunk.stopped:
        return chunk.stopped[item]
    row = chunk.items.get(item)
    if row is None or not row.get("active"):
        return None
    if item in rules.colliding:
        return rules.colliding[item]
    if item in chunk.unclear:
        return chunk.unclear[item]
    listed = rules.listed.get(str(row["code"]).lower())
    return wanted(row, listed, rules.base_currency, rules.currencies, chunk.products.get(item))


def _judgement(work: _Work, item: str, verdict: Wanted | Hold | None) -> Judgement:
    chunk = work.chunk
    row, previous = chunk.items.get(item), chunk.previous.get(item)
    number = (row or {}).get("code") or (previous.source_number if previous else None) or item
    listed = work.rules.listed.get(str(number).lower())
    base = Judgement(
        source_id=item, source_number=number, outcome="posted", seen_version=chunk.versions[item],
        content_hash=listed.digest if listed else None,
    )  # fmt: skip
    if isinstance(verdict, Hold):
        outcome: Outcome = "quarantined" if item in chunk.stopped else "held"
        return replace(base, outcome=outcome, reason=verdict.reason, message=verdict.message)
    if verdict is None:
        if item not in chunk.products:
            return replace(base, outcome="not_billable", reason="not_sold", message="it is not sold")
        words = "it is not sold any more: the CRM's product is inactive"
        return replace(base, outcome="cancelled", reason=DISCONTINUED, message=words)
    return base


def _products(work: _Work, verdicts: Mapping[str, Wanted | Hold | None]) -> Iterator[Asked]:
    for item, verdict in verdicts.items():
        there = work.chunk.products.get(item)
        if isinstance(verdict, Wanted):
            yield Asked(item, PRODUCT, ENTITY, verdict.product, there)
        elif verdict is None and there is not None:
            # Deactivated, never deleted: nothing else of it changes.
            yield Asked(item, PRODUCT, ENTITY, {**there, "active": False}, there)


def _prices(work: _Work, plans: Mapping[str, _Plan], verdicts: Mapping[str, Wanted | Hold | None]) -> Iterator[Asked]:
    """Prices of the products that are there or are being made; a product that waits for a person gets none."""
    ours: dict[str, list[str]] = defaultdict(list)
    for (item, kind), last in work.chunk.last.items():
        if kind.startswith(f"{PRICE}:") and last["state"] == "CONFIRMED":
            ours[item].append(kind)
    for item, verdict in verdicts.items():
        if not isinstance(verdict, Wanted) or plans[item].hold:
            continue
        there = work.chunk.products.get(item)
        product_id, parent = (there["product_id"], ()) if there else _coming(work, plans[item], item)
        if product_id is None:
            continue
        for currency, price in sorted(verdict.prices.items()):
            standard: tuple[str, ...] = ()
            for number, book in enumerate(work.rules.books):
                kind = price_kind(currency, book if number else None)
                entry = work.chunk.prices.get((product_id, book, currency))
                asked = _price(item, kind, (product_id, book, currency), price, entry)
                yield replace(asked, depends_on=(*parent, *standard))
                if entry is None:
                    # An own price book's price is refused before the standard price is there.
                    standard = (_coming_uid(work, item, kind),)
        yield from _withdrawn(work, item, product_id, verdict, ours.get(item, ()))


def _price(item: str, kind: str, place: tuple[str, str, str], price: Decimal, entry: Row | None) -> Asked:
    common = {
        "product_id": place[0], "price_book_id": place[1], "currency": place[2], "unit_price": price, "active": True,
        "follows_standard": False, "price_id": entry["price_id"] if entry else None,
    }  # fmt: skip
    return Asked(item, kind, PRICE, common, entry)


def _withdrawn(work: _Work, item: str, product_id: str, verdict: Wanted, ours: Sequence[str]) -> Iterator[Asked]:
    """Of the prices that we wrote those that finance does not have any more. What others entered is not touched."""
    for kind in ours:
        _, currency, *book = kind.split(":")
        entry = work.chunk.prices.get((product_id, book[0] if book else work.rules.books[0], currency))
        if entry is not None and entry.get("active") and currency not in verdict.prices:
            yield Asked(item, kind, PRICE, {**entry, "active": False}, entry)


def _coming(work: _Work, plan: _Plan, item: str) -> tuple[str | None, tuple[str, ...]]:
    """What stands for the id of a product that is being made, and what its prices wait for."""
    if plan.new:
        uid = work.uid(item, PRODUCT, work.next_revision(item, PRODUCT))
    elif plan.standing is not None and plan.standing["state"] not in FAILED:
        uid = str(plan.standing["doc_uid"])
    else:
        return None, ()
    return waiting_for(uid), (uid,)


def _coming_uid(work: _Work, item: str, kind: str) -> str:
    """Of the intent that makes a price: the one under way, else the next."""
    last = work.chunk.last.get((item, kind))
    if last is not None and last["state"] in UNDER_WAY:
        return str(last["doc_uid"])
    return work.uid(item, kind, work.next_revision(item, kind))


# --- what follows -----------------------------------------------------------------------------------------------------


def _take(
    work: _Work, plans: Mapping[str, _Plan], found: Mapping[str, Write], refused: Mapping[str, Rejection]
) -> None:
    """Gives each item its writes: new ones, or the standing of one that was planned before."""
    for rejection in refused.values():
        item = rejection.source_id.split("\x1f")[0]
        plan = plans[item]
        plan.hold = hold_of(rejection)
        words = {"outcome": "held", "reason": plan.hold.reason, "message": plan.hold.message.replace("\x1f", " ")}
        plan.judgement = replace(plan.judgement, **words)  # type: ignore[arg-type] # outcome is a literal
    for write in found.values():
        plan, last = plans[write.asked.item], work.chunk.last.get((write.asked.item, write.asked.kind))
        if last is None or _goes_on(work, last, write):
            plan.new.append(write)
        elif plan.standing is None or last["state"] in FAILED:
            plan.standing = last


def _goes_on(work: _Work, last: Row, write: Write) -> bool:
    """Whether a new write follows the last one, which does not wait for its end or for a person."""
    if last["state"] == "CONFIRMED":
        # Something that was made and cannot be read yet must not be made a second time.
        return write.asked.there is not None or last["vendor_id"] in work.chunk.vanished
    if last["operation"] in MAKING and last["state"] in MAY_BE_SENT:
        return False
    if last["state"] == "REJECTED" and work.is_new(write.asked.item):
        # The CRM refused it, so that nothing of it is there: what refused it may be mended.
        return True
    return bool(last["operation"] != write.operation or last["body"] != write.body)


def _outcome(plan: _Plan) -> Judgement:
    if plan.hold is not None:
        return plan.judgement
    if plan.standing is not None and plan.standing["state"] in FAILED:
        reason, message = plan.standing["reason"], plan.standing["message"]
        return replace(plan.judgement, outcome="held", reason=reason, message=message)
    if plan.new or plan.standing is not None:
        return replace(plan.judgement, outcome="pending", message=None)
    return plan.judgement


def _replaced(work: _Work, plans: Mapping[str, _Plan]) -> set[str]:
    """Earlier writes of the same of which nothing was sent, or that wait for a person: nobody needs them any more."""
    last = (
        work.chunk.last.get((write.asked.item, write.asked.kind))
        for plan in plans.values() if plan.hold is None for write in plan.new
    )  # fmt: skip
    return {row["doc_uid"] for row in last if row is not None and row["state"] in ("READY", "HELD")}


def _keep(work: _Work, plans: Mapping[str, _Plan], kept: Collection[str]) -> None:
    """Nothing new where the earlier write could not be taken back: the CRM may have it."""
    if not kept:
        return
    for plan in plans.values():
        for write in tuple(plan.new):
            last = work.chunk.last.get((write.asked.item, write.asked.kind))
            if last is not None and last["doc_uid"] in kept:
                plan.new.remove(write)
                plan.standing = last


def _edited(work: _Work, write: Write) -> dict[str, tuple[Any, Any]]:
    """Fields in which finance's value was overwritten by somebody in the CRM, or that a product had before it was
    linked: those that finance did not change since they were written last."""
    if write.asked.there is None:
        return {}
    last = work.chunk.last.get((write.asked.item, write.asked.kind))
    if last is None or last["state"] != "CONFIRMED":
        linked = write.asked.entity == PRICE or write.asked.item in work.chunk.unlinked
        return {name: pair for name, pair in write.differing.items() if pair[1] is not None} if linked else {}
    sent, now = exact_json.loads(last["body"]), exact_json.loads(write.body)
    return {name: pair for name, pair in write.differing.items() if name in sent and sent[name] == now.get(name)}


def _intent(work: _Work, write: Write) -> NewIntent:
    services, asked = work.services, write.asked
    link, mapping = services.link, services.ledger.mappings[ENTITY]
    revision = work.next_revision(asked.item, asked.kind)
    uid = work.uid(asked.item, asked.kind, revision)
    natural_key = {"products.upsert": asked.item, "prices.create": uid}.get(write.operation) or asked.common[
        f"{asked.entity}_id"
    ]
    return NewIntent(
        link=link.name, target=link.crm, doc_uid=uid, kind=asked.kind, operation=write.operation, revision=revision,
        source=link.ledger, source_object=mapping.object, source_id=asked.item, natural_key=natural_key,
        source_system=services.ledger.system, source_entity=ENTITY, depends_on=asked.depends_on,
        idempotency_key=idempotency_key(uid, link.crm, write.operation), body=write.body, entity=asked.entity,
        frozen={"mapping": services.mapping_hash}, owner=link.owners.get("products", "finance"),
    )  # fmt: skip


def _crm_mastered(rules: Rules) -> list[str]:
    return [name for name, owner in rules.masters.items() if owner == "crm"]


def _events(
    services: Services, edits: Mapping[str, Mapping[str, tuple[Any, Any]]], run_id: UUID
) -> Iterator[audit.Event]:
    by_item: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, fields in edits.items():
        item, kind = key.split("\x1f")
        for name, (want, have) in fields.items():
            place = name if kind == PRODUCT else f"{kind.removeprefix(PRICE + ':')} {name}"
            by_item[item][place] = {"master": _shown(want), "overwritten": _shown(have)}
    for item, shown in by_item.items():
        yield audit.Event(
            services.actor, "master.overwrote", f"{ENTITY}:{item}", {"side": "crm", "fields": shown}, run_id
        )


def _shown(value: Any) -> Any:
    # A frame's decimals have as many places as its type.
    return format(value.normalize(), "f") if isinstance(value, Decimal) else value


def _letters(
    conn: Connection, services: Services, judgements: Sequence[Judgement], plans: Mapping[str, _Plan], run_id: UUID
) -> None:
    """A dead letter for each item that this step stopped; those of items that go on now are closed."""
    stopped = {each.source_id: plans[each.source_id].hold for each in judgements if each.outcome == "held"}
    letters = [
        Rejection(
            services.ledger.system, ENTITY, item, hold.reason, hold.message.replace("\x1f", " "), hold.expected,
            hold.found, hold.remedy,
        )
        for item, hold in stopped.items() if hold is not None
    ]  # fmt: skip
    dead_letters.record(
        conn, letters, link=services.link.name, connection=services.ledger.name, stage="transform", run_id=run_id
    )
    dead_letters.close_mended(
        conn, connection=services.ledger.name, link=services.link.name, entity=ENTITY, stages=["transform"],
        source_ids=[each.source_id for each in judgements],
        failing=[(letter.source_id, letter.reason) for letter in letters],
    )  # fmt: skip
