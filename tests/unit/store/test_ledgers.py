"""Watermarks, audit chain, dead letters, runs, crosswalk, aliases on real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Thread
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.unit.store.test_staging import ORDER, order
from tieout.model.errors import Fatal, Rejection
from tieout.store import aliases, audit, crosswalk, dead_letters, runs, staging, watermarks

RUN = uuid4()


def now(engine: Engine) -> datetime:
    with engine.connect() as conn:
        moment: datetime = conn.execute(sa.select(sa.func.now())).scalar_one()
        return moment


# --- watermarks ---


def test_no_mark_before_the_first_read(engine: Engine) -> None:
    with engine.connect() as conn:
        assert watermarks.read(conn, "crm", "order", "extract") is None
        assert watermarks.checked_version(conn, "crm", "order") == 0


def test_a_cursor_in_the_future_is_refused_and_the_mark_stays(engine: Engine) -> None:
    kept = now(engine) - timedelta(hours=1)
    with engine.begin() as conn:
        watermarks.advance(conn, "crm", "order", "extract", at=kept)
    with engine.begin() as conn, pytest.raises(Fatal, match=r"crm/order: the cursor 2999.* is in the future"):
        watermarks.advance(conn, "crm", "order", "extract", at=datetime(2999, 1, 1, tzinfo=UTC))
    with engine.connect() as conn:
        mark = watermarks.read(conn, "crm", "order", "extract")
    assert mark is not None
    assert mark.at == kept


def test_the_mark_never_passes_now_minus_the_overlap(engine: Engine) -> None:
    with engine.begin() as conn:
        moment: datetime = conn.execute(sa.select(sa.func.now())).scalar_one()
        mark = watermarks.advance(conn, "crm", "order", "extract", at=moment, overlap=timedelta(minutes=5), run_id=RUN)
    assert mark.at == moment - timedelta(minutes=5)
    assert mark.run_id == RUN


def test_the_mark_goes_backwards_only_when_told(engine: Engine) -> None:
    late, early = now(engine) - timedelta(hours=1), now(engine) - timedelta(hours=9)
    with engine.begin() as conn:
        watermarks.advance(conn, "crm", "order", "extract", at=late)
        assert watermarks.advance(conn, "crm", "order", "extract", at=early).at == late
        assert watermarks.advance(conn, "crm", "order", "extract", at=early, backwards=True).at == early


def test_checked_versions(engine: Engine) -> None:
    with engine.begin() as conn:
        watermarks.advance_checked(conn, "crm", "order", 7, RUN)
        watermarks.advance_checked(conn, "crm", "order", 5, RUN)
        assert watermarks.checked_version(conn, "crm", "order") == 7


# --- audit ---


def event(number: int) -> audit.Event:
    return audit.Event("ann", "intent.state", f"intent:{number}", {"n": number, "amount": Decimal("1.10")}, RUN)


def test_a_chain_holds_and_keeps_its_order(engine: Engine) -> None:
    for start in (0, 3):
        with engine.begin() as conn:
            audit.append(conn, "books", [event(start + i) for i in range(3)])
            audit.append(conn, "other", [event(99)])
    with engine.connect() as conn:
        assert audit.verify(conn, "books") is None
        assert audit.verify(conn, "never written") is None
        assert audit.chains(conn) == ["books", "other"]
        rows = conn.execute(
            sa.text("select seq, subject, detail from tieout.audit_event where chain = 'books' order by seq")
        )
        assert [tuple(row) for row in rows][4] == (5, "intent:4", {"n": 4, "amount": "1.10"})


def test_an_append_that_is_rolled_back_leaves_no_gap(engine: Engine) -> None:
    with engine.begin() as conn:
        audit.append(conn, "books", [event(1)])
    with engine.connect() as conn:
        audit.append(conn, "books", [event(2)])
        conn.rollback()
    with engine.begin() as conn:
        audit.append(conn, "books", [event(3)])
        assert audit.verify(conn, "books") is None


def test_writers_at_once_make_one_chain(engine: Engine) -> None:
    def write(who: int) -> None:
        for number in range(10):
            with engine.begin() as conn:
                audit.append(conn, "books", [event(who * 100 + number)])

    threads = [Thread(target=write, args=[who]) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as conn:
        assert audit.verify(conn, "books") is None
        assert conn.execute(sa.text("select max(seq) from tieout.audit_event")).scalar_one() == 40


@pytest.mark.parametrize(
    ("tampering", "seq", "what"),
    [
        ("update tieout.audit_event set actor = 'eve' where seq = 2", 2, "was changed"),
        ("update tieout.audit_event set detail = '{}' where seq = 3", 3, "was changed"),
        ("update tieout.audit_event set at = at - interval '1 day' where seq = 2", 2, "was changed"),
        ("delete from tieout.audit_event where seq = 2", 2, "is missing"),
        ("delete from tieout.audit_event where seq = 4", 4, "cut off"),
        ("update tieout.audit_event set prev_hash = hash where seq = 3", 3, "prev_hash"),
        ("delete from tieout.audit_head", 0, "no head"),
    ],
)
def test_tampering_shows(engine: Engine, tampering: str, seq: int, what: str) -> None:
    with engine.begin() as conn:
        audit.append(conn, "books", [event(i) for i in range(4)])
        conn.execute(sa.text("alter table tieout.audit_event disable trigger audit_event_append_only"))
        conn.execute(sa.text(tampering))
        broken = audit.verify(conn, "books")
    assert broken is not None
    assert broken.seq == seq
    assert what in broken.what


def test_an_event_holds_no_float_and_no_nul(engine: Engine) -> None:
    with engine.begin() as conn:
        with pytest.raises(TypeError, match="float"):
            audit.append(conn, "books", [audit.Event("a", "b", "c", {"x": 0.1})])
        audit.append(conn, "books", [audit.Event("a\x00", "b", "c", {"x\x00": ["\ud800", 10**30]})])
        assert audit.verify(conn, "books") is None


# --- dead letters ---

BAD = Rejection(
    "salesforce", "order", str(order(1)["Id"]), "unknown_currency", "No such currency.", "ISO 4217", "EURO", "Mend it."
)


def open_one(engine: Engine, rejection: Rejection = BAD, **more: object) -> int:
    arguments = {"connection": "crm", "stage": "check", "run_id": RUN} | more
    with engine.begin() as conn:
        dead_letters.record(conn, [rejection], **arguments)  # type: ignore[arg-type]  # a few at a time
        return dead_letters.listing(conn, dead_letters.Filter(state=None, limit=10_000))[-1].dead_letter_id


def test_the_same_fault_counts_up_once_a_run(engine: Engine) -> None:
    for run in (RUN, RUN, uuid4()):
        open_one(engine, replace(BAD, found=f"EURO {run}"), run_id=run)
    with engine.connect() as conn:
        (letter,) = dead_letters.listing(conn)
    assert letter.times_seen == 2
    assert letter.found.startswith("EURO")


def test_one_letter_for_each_reason_stage_and_link(engine: Engine) -> None:
    open_one(engine)
    open_one(engine, replace(BAD, reason="negative_quantity"))
    open_one(engine, stage="transform", link="demo")
    open_one(engine, stage="transform", link="other")
    with engine.connect() as conn:
        assert len(dead_letters.listing(conn)) == 4
        assert [x.link for x in dead_letters.listing(conn, dead_letters.Filter(stage="transform"))] == ["demo", "other"]
        assert dead_letters.open_keys(conn, "crm", "order") == {BAD.source_id: "negative_quantity"}
        assert dead_letters.open_keys(conn, "crm", "order", ["transform"]) == {BAD.source_id: "unknown_currency"}
        assert dead_letters.counts_by_reason(conn)["order", "transform", "unknown_currency"] == 2
        page = dead_letters.listing(conn, dead_letters.Filter(limit=3))
        assert len(dead_letters.listing(conn, dead_letters.Filter(after=page[-1].dead_letter_id))) == 1


def test_thousands_at_once_and_twice_in_one_call(engine: Engine) -> None:
    many = [replace(BAD, source_id=str(i), found="x" * 900 + "\x00") for i in range(4500)]
    with engine.begin() as conn:
        assert dead_letters.record(conn, many + many[:10], connection="crm", stage="check", run_id=RUN) == 4500
        (one,) = dead_letters.listing(conn, dead_letters.Filter(source_id="17"))
    assert len(one.found) == 500


def test_replay_gives_the_row_a_new_version_and_is_audited(engine: Engine) -> None:
    with engine.begin() as conn:
        staging.ensure(conn, ORDER)
    staging.stage(engine, ORDER, "crm", [[order(1)]], RUN)
    before = staging.read(engine, ORDER, "crm")["_version"].tolist()[0]
    number = open_one(engine)
    with engine.begin() as conn:
        assert dead_letters.replay(conn, [number, 999_999], "ann") == 1
        assert dead_letters.replay(conn, [number], "ann") == 0
        assert audit.verify(conn, "connection:crm") is None
        letter = dead_letters.get(conn, number)
        assert dead_letters.open_keys(conn, "crm", "order") == {}
        assert audit.chains(conn) == ["connection:crm"]
    assert letter is not None
    assert (letter.state, letter.closed_by) == ("replayed", "ann")
    assert letter.payload["OrderNumber"] == "00000001", "the staged row's, since it has none of its own"
    assert staging.read(engine, ORDER, "crm")["_version"].tolist()[0] > before
    assert open_one(engine) != number, "the same fault again is a new letter"


def test_a_letter_whose_entity_is_not_staged_can_be_replayed_and_resolved(engine: Engine) -> None:
    number = open_one(engine, replace(BAD, system="ledger", entity='x"y'), stage="deliver", link="demo")
    with engine.begin() as conn:
        assert dead_letters.replay(conn, [number], "ann") == 1
    number = open_one(engine, replace(BAD, entity="nothing"))
    with engine.begin() as conn:
        assert dead_letters.get(conn, number).payload is None  # type: ignore[union-attr]  # it is there
        assert dead_letters.resolve(conn, [number], "ann", "a test record") == 1
        assert dead_letters.get(conn, 10**12) is None


def test_letters_close_when_the_row_passes(engine: Engine) -> None:
    for number in (1, 2, 3):
        open_one(engine, replace(BAD, source_id=str(order(number)["Id"])))
    open_one(engine, replace(BAD, reason="other"))
    open_one(engine, replace(BAD, reason="linked"), link="demo")
    with engine.begin() as conn:
        closed = dead_letters.close_passed(
            conn, connection="crm", entity="order", stage="check",
            passed=[str(order(number)["Id"]) for number in (1, 2)], failing={(BAD.source_id, BAD.reason)},
        )  # fmt: skip
        left = {(x.source_id, x.reason) for x in dead_letters.listing(conn)}
        (one,) = dead_letters.listing(conn, dead_letters.Filter(state="resolved", reason="other"))
    assert closed == 2
    assert left == {(BAD.source_id, BAD.reason), (BAD.source_id, "linked"), (str(order(3)["Id"]), BAD.reason)}
    assert one.closed_by == "passed its checks"


def test_letters_of_a_link_close_when_the_record_goes_through(engine: Engine) -> None:
    open_one(engine, stage="transform", link="demo")
    open_one(engine, stage="transform", link="other")
    arguments = {"connection": "crm", "link": "demo", "entity": "order", "stages": ["transform"]}
    with engine.begin() as conn:
        ids = [BAD.source_id]
        assert dead_letters.close_mended(conn, source_ids=ids, failing=[(ids[0], BAD.reason)], **arguments) == 0  # type: ignore[arg-type]
        assert dead_letters.close_mended(conn, source_ids=ids, **arguments) == 1  # type: ignore[arg-type]
        assert [x.link for x in dead_letters.listing(conn)] == ["other"]


# --- runs ---


def test_a_run_from_start_to_end(engine: Engine) -> None:
    hashes = {"mapping_hash": "m", "suite_hash": "s"}
    with engine.begin() as conn:
        run_id = runs.start(conn, link="demo", scenario="quote_to_cash", trigger="cli", **hashes)
        runs.begin_step(conn, run_id, "extract")
        runs.end_step(conn, run_id, "extract", {"read": 5, "amount": Decimal("1.10")})
        runs.finish(conn, run_id, "succeeded", counts={"read": 5}, amounts={"EUR": 110})
    with engine.connect() as conn:
        run = runs.get(conn, run_id)
    assert run is not None
    assert (run.state, run.counts, run.amounts) == ("succeeded", {"read": 5}, {"EUR": 110})
    assert run.steps["extract"]["numbers"] == {"read": 5, "amount": Decimal("1.10")}
    assert set(run.steps["extract"]) == {"started", "ended", "numbers"}
    assert run.finished_at is not None
    assert len(run.code_version) >= 5


def test_a_cleared_task_opens_its_run_again(engine: Engine) -> None:
    arguments = {"link": "demo", "scenario": "q", "trigger": "cli", "mapping_hash": "m", "suite_hash": "s"}
    with engine.begin() as conn:
        run_id = runs.start(conn, **arguments)
        runs.finish(conn, run_id, "failed")
        assert runs.start(conn, run_id=run_id, **{**arguments, "mapping_hash": "m2"}) == run_id
        run = runs.get(conn, run_id)
        assert run is not None
        assert (run.state, run.finished_at, run.mapping_hash) == ("running", None, "m2")
        second = runs.start(conn, **{**arguments, "link": "other"})
        assert {r.run_id for r in runs.latest(conn, limit=5)} == {run_id, second}
        assert [r.run_id for r in runs.latest(conn, "demo")] == [run_id]
        assert runs.latest(conn, "demo", "none") == []
        assert runs.get(conn, uuid4()) is None
        with pytest.raises(LookupError, match="no sync run"):
            runs.begin_step(conn, uuid4(), "extract")


# --- crosswalk and aliases ---

NEW = crosswalk.NewLink(
    "demo", "xero", "account", "X-1", None, "d" * 32, "crm", "Account", "001A", "matched", {"rule": "tax_id"}, "tax_id"
)


def test_linking_twice_changes_nothing_and_is_audited_once(engine: Engine) -> None:
    with engine.begin() as conn:
        assert crosswalk.link_existing(conn, [NEW, NEW], RUN) == []
        assert crosswalk.link_existing(conn, [NEW], RUN) == []
        found = crosswalk.find(conn, "xero", "account", "crm", "Account", ["001A", "001B"])
        assert conn.execute(sa.text("select count(*) from tieout.audit_event")).scalar_one() == 1
        assert audit.verify(conn, "link:demo") is None
    assert found.keys() == {"001A"}
    assert (found["001A"].vendor_id, found["001A"].evidence) == ("X-1", {"rule": "tax_id"})


@pytest.mark.parametrize(
    "other", [replace(NEW, source_id="001B", doc_uid="e" * 32), replace(NEW, vendor_id="X-2")], ids=["ledger", "crm"]
)
def test_one_record_stands_for_one(engine: Engine, other: crosswalk.NewLink) -> None:
    with engine.begin() as conn:
        crosswalk.link_existing(conn, [NEW])
        (taken,) = crosswalk.link_existing(conn, [other])
    assert taken.wanted == other
    assert (taken.by.vendor_id, taken.by.source_id) == ("X-1", "001A")


def test_aliases_are_approved_changed_and_audited(engine: Engine) -> None:
    with engine.begin() as conn:
        assert aliases.approve(conn, "demo", "product", "GTXPro", "GTX Pro", by="ann")
        assert not aliases.approve(conn, "demo", "product", "GTXPro", "GTX Pro", by="ben")
        assert aliases.approve(conn, "demo", "product", "GTXPro", "GTXP", by="ben", note="renamed")
        assert aliases.approve(conn, "other", "account", "a", "b", by="ann")
        assert aliases.resolve(conn, "demo", "product") == {"GTXPro": "GTXP"}
        assert [(x.link, x.approved_by) for x in aliases.listing(conn)] == [("demo", "ben"), ("other", "ann")]
        details = conn.execute(sa.text("select detail ->> 'before' from tieout.audit_event where chain = 'link:demo'"))
        assert list(details.scalars()) == [None, "GTX Pro"]
        with pytest.raises(ValueError, match="who approves"):
            aliases.approve(conn, "demo", "product", "x", "y", by=" ")
