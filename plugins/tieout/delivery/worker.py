"""One worker of a delivery: claim, look up what may have been sent, send what was not, confirm. See docs/delivery.md.

Nothing is written into a vendor's system but by `Worker._send`. What an answer means is in judge.py, how it is written
down in settle.py, how work is taken in claim.py, who may post where the vendor guards nothing in session.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy.engine import Connection

from tieout.connectors.base import UNREACHABLE, Found, Guard, Operation, Request, Target
from tieout.delivery import claim, counts, families
from tieout.delivery.bodies import batch_name, digest, fill, named_in, vendor_ids
from tieout.delivery.claim import Claimed, Wanted
from tieout.delivery.clock import Clock
from tieout.delivery.judge import (
    BATCH_REFUSED,
    DUPLICATE,
    Verdict,
    judge_batch,
    judge_found,
    never_settles,
    uncertain,
)
from tieout.delivery.limits import DeliverySummary, Limits
from tieout.delivery.session import Poster
from tieout.delivery.settle import OnConfirmed, Outcome, settle
from tieout.delivery.states import Journal, State
from tieout.delivery.transaction import Transactions
from tieout.model.errors import AuthenticationFailed, PermissionDenied, RateLimited, Retriable


@dataclass(slots=True)
class Worker:
    """One call of `deliver`: what it was given, and what it found out on the way."""

    conn: Connection
    name: str
    target: Target
    run_id: UUID | None
    worker: str
    link: str | None
    kinds: Collection[str] | None
    limits: Limits
    clock: Clock
    crash: Callable[[str], None]
    on_confirmed: OnConfirmed | None
    on_progress: Callable[[DeliverySummary], None] | None = None
    summary: DeliverySummary = field(default_factory=DeliverySummary)
    operations: dict[str, Operation] = field(default_factory=dict)
    #: Operations left alone in this call: another worker is the target's one poster for them.
    without: frozenset[str] = frozenset()
    can_look_up: bool = True
    #: Requests in a row without one definite answer.
    silent: int = 0
    #: Seconds that the vendor asked to wait; work that is given back is not due before.
    closed_for: float | None = None
    transactions: Transactions = field(init=False)
    poster: Poster = field(init=False)

    def __post_init__(self) -> None:
        actor = f"worker:{self.worker}"
        self.transactions = Transactions(self.conn, self.name, actor, self.run_id, self.clock, self.crash)
        self.poster = Poster(self.conn, self.name)

    # -- the loop ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Rounds of expire, look up, send, until nothing can be done now."""
        self._put_back()
        after, moved = 0, False
        for _ in range(self.limits.rounds):
            self._expire()
            unknown = self._claim_unknown()
            self._look_up_all(unknown)
            claimed = [] if self.summary.stopped is not None else self._claim_ready(after)
            self._post_all(claimed)
            if self.summary.stopped is not None:
                break
            if claimed or unknown:
                after, moved = (claimed[-1].intent_id if claimed else after), True
            elif moved:
                # Children may stand before their parents; look at everything again as long as something moves.
                self._put_back()
                after, moved = 0, False
            else:
                self._hold_children()
                break
        else:
            self.summary.stopped = f"{self.limits.rounds} rounds are the limit of one call"
        self._describe_rest()

    def _claim_ready(self, after: int) -> list[Claimed]:
        lease, most = timedelta(seconds=self.limits.lease_seconds), self.limits.claim_intents
        claimed = self.transactions.run(
            "claim",
            lambda conn, journal: claim.ready(
                conn, journal, self._wanted(), self.worker, after=after, most=most, lease=lease
            ),
        )
        self.summary.claimed += len(claimed)
        return claimed

    def _claim_unknown(self) -> list[Claimed]:
        if not self.can_look_up:
            return []
        lease, most = timedelta(seconds=self.limits.lease_seconds), self.limits.claim_intents
        return self.transactions.run(
            "lease",
            lambda conn, journal: claim.unknown(conn, journal, self._wanted(), self.worker, most=most, lease=lease),
        )

    def _wanted(self) -> Wanted:
        return Wanted(self.name, self.link, self.kinds, self.without)

    def _expire(self) -> None:
        most = self.limits.expire_intents
        self.transactions.run(
            "expire", lambda conn, journal: claim.expire(conn, journal, self.name, self.operation, most)
        )

    def _put_back(self) -> None:
        self.summary.put_back += self.transactions.run("put_back", families.put_back)

    def _hold_children(self) -> None:
        self.summary.held_children += self.transactions.run("hold", families.hold)

    def _describe_rest(self) -> None:
        def describe(conn: Connection, journal: Journal) -> None:
            now, summary = journal.now, self.summary
            summary.waiting = counts.waiting(conn, self.name, self.link)
            unknown = counts.oldest(conn, self.name, State.UNKNOWN, now, self.link)
            held = counts.oldest(conn, self.name, State.HELD, now, self.link)
            summary.oldest_unknown_seconds = unknown.seconds if unknown else None
            summary.oldest_held_seconds = held.seconds if held else None
            summary.due_in = counts.seconds_until_due(conn, self.name, now, self.link)
            if self.closed_for is not None:
                summary.due_in = self.closed_for

        self.transactions.run("describe", describe)

    def operation(self, name: str) -> Operation:
        """The target's declaration, asked for once a call."""
        if name not in self.operations:
            self.operations[name] = self.target.operation(name)
        return self.operations[name]

    # -- what may have been sent before --------------------------------------------------------------------------------

    def _look_up_all(self, leased: Sequence[Claimed]) -> None:
        """Step 3: their quiet period is over, so that what a look-up does not show was not applied."""
        with self._rest_given_back(leased) as left:
            known = self._vendor_ids(leased)
            for operation, batch in self._batches(leased):
                found = self._found(operation, [self._request(each, known) for each in batch])
                if found is None:
                    return
                verdicts = self._judged(operation, batch, found)
                self._settle("look_up", [Outcome(each, State.UNKNOWN, verdicts[each.doc_uid]) for each in batch])
                left -= {each.intent_id for each in batch}

    def _found(self, operation: Operation, requests: Sequence[Request]) -> dict[str, Sequence[Found]] | None:
        """What the look-up shows; None when that cannot be known now."""
        self.summary.look_up_calls += 1
        try:
            found = dict(self.target.look_up(operation, requests))
        except RateLimited as error:
            self._close(error.retry_after, f"the vendor asked to wait: {error}")
            self.summary.asked_to_wait = self.closed_for
            return None
        except Retriable:
            # Sending goes on: what cannot be looked up waits, and the oldest is in the summary.
            self.can_look_up = False
            return None
        self.summary.looked_up += len(requests)
        self.crash("after_look_up")
        return found

    def _judged(
        self, operation: Operation, batch: Sequence[Claimed], found: Mapping[str, Sequence[Found]]
    ) -> dict[str, Verdict]:
        verdicts = {}
        for each in batch:
            refused = each.state is State.UNKNOWN and (each.reason or "").startswith(DUPLICATE)
            verdict = judge_found(operation, found.get(each.doc_uid, ()), each.reason if refused else None)
            spent = verdict.to is State.READY and each.sends >= self.limits.most_sends
            verdicts[each.doc_uid] = never_settles(verdict, each.sends) if spent else verdict
        return verdicts

    # -- what is not sent yet ------------------------------------------------------------------------------------------

    def _post_all(self, claimed: Sequence[Claimed]) -> None:
        with self._rest_given_back(claimed) as left:
            known = self._vendor_ids(claimed)
            for operation, batch in self._batches(claimed):
                to_send: Sequence[Claimed] = batch
                if operation.guard is Guard.LOOK_UP:
                    to_send = self._not_there_yet(operation, batch, known, left)
                if to_send and self.summary.stopped is None:
                    left -= {each.intent_id for each in to_send}
                    self._send(operation, to_send, [self._request(each, known) for each in to_send])
                if self.summary.stopped is not None:
                    return

    def _not_there_yet(
        self, operation: Operation, batch: Sequence[Claimed], known: Mapping[str, str], left: set[int]
    ) -> Sequence[Claimed]:
        """Those of the batch that may be sent although the vendor guards against nothing.

        There is one poster for the target, and the last thing before its send is a look. For every other guard the
        first send needs none: `sends` = 0 says that no byte has left, and the vendor refuses or recognises a second.
        """
        if not self.poster.take():
            self.without |= {operation.name}
            return ()
        found = self._found(operation, [self._request(each, known) for each in batch])
        if found is None:
            self.without |= {operation.name}
            return ()
        verdicts = self._judged(operation, batch, found)
        settled = [each for each in batch if verdicts[each.doc_uid].to is not State.READY]
        if settled:
            self._settle("look_up", [Outcome(each, State.CLAIMED, verdicts[each.doc_uid]) for each in settled])
            left -= {each.intent_id for each in settled}
        return [each for each in batch if verdicts[each.doc_uid].to is State.READY]

    def _send(self, operation: Operation, batch: Sequence[Claimed], requests: Sequence[Request]) -> None:
        """Steps 4 to 6 for one request of the vendor. Nothing else in Tieout writes into another system."""
        seconds = max(self.limits.lease_seconds, 2 * operation.time_out)
        # Read before the lease is written, so that the time to start ends here before it ends for the other workers.
        latest_start = self.clock.monotonic() + seconds - operation.time_out
        attempts = self.transactions.run(
            "mark",
            lambda conn, journal: claim.mark_sent(
                conn,
                journal,
                batch,
                [digest(request.body) for request in requests],
                self.worker,
                batch_name=batch_name([request.idempotency_key for request in requests]),
                lease=timedelta(seconds=seconds),
            ),
        )
        ours = [each for each in batch if each.intent_id in attempts]
        self.summary.lost += len(batch) - len(ours)
        if not ours:
            return
        sending = [request for each, request in zip(batch, requests, strict=True) if each.intent_id in attempts]
        self.crash("before_send")
        verdicts, error = self._answers(operation, sending, latest_start)
        self.crash("after_send")
        self._settle(
            "confirm",
            [Outcome(each, State.IN_FLIGHT, verdicts[each.doc_uid], attempts[each.intent_id]) for each in ours],
        )
        if error is not None:
            raise error
        self._watch(verdicts)

    def _answers(
        self, operation: Operation, requests: Sequence[Request], latest_start: float
    ) -> tuple[dict[str, Verdict], Exception | None]:
        """Sends, if there is time to, and says what each answer means; an error is raised once that is written down."""
        if self.clock.monotonic() >= latest_start:
            late = Verdict(State.READY, "not_sent", "paused", "the worker was paused past its lease: nothing was sent")
            return {request.doc_uid: late for request in requests}, None
        self.summary.send_calls += 1
        self.summary.sent += len(requests)
        try:
            answers = self.target.send(operation, requests)
        except (AuthenticationFailed, PermissionDenied) as error:
            nothing = Verdict(State.READY, "refused", "not_allowed", "the vendor refused the whole request")
            return {request.doc_uid: nothing for request in requests}, error
        except Exception as error:  # noqa: BLE001 - whatever the connector stumbled over, bytes may have left
            fate = uncertain(operation, "connector_fault", f"the connector failed: {type(error).__name__}")
            return {request.doc_uid: fate for request in requests}, error
        return judge_batch(operation, requests, answers), None

    def _watch(self, verdicts: Mapping[str, Verdict]) -> None:
        """Stops when the vendor asks to wait, or seems to be down: each further send would only make UNKNOWNs."""
        waiting = [verdict for verdict in verdicts.values() if verdict.outcome == "throttled"]
        seconds = max((verdict.wait or 0.0 for verdict in waiting), default=0.0)
        if waiting and all(verdict.reason == UNREACHABLE for verdict in waiting):
            self._close(seconds, waiting[0].message or "no connection")
        elif waiting:
            self._close(seconds, "the vendor asked to wait")
            self.summary.asked_to_wait = self.closed_for
        silent = all(verdict.outcome == "uncertain" for verdict in verdicts.values())
        self.silent = self.silent + 1 if silent else 0
        if self.silent >= self.limits.silent_batches:
            again = self.limits.look_up_again_seconds
            self._close(again, f"{self.silent} requests in a row got no definite answer: the vendor may be down")

    def _close(self, seconds: float, why: str) -> None:
        self.closed_for, self.summary.stopped = max(seconds, 0.0), why

    # -- helpers of both -----------------------------------------------------------------------------------------------

    def _settle(self, name: str, outcomes: Sequence[Outcome]) -> None:
        settled = self.transactions.run(
            name, lambda conn, journal: settle(conn, journal, outcomes, self.worker, self.on_confirmed)
        )
        summary = self.summary
        summary.states.update(str(each.verdict.to) for each in settled.done)
        summary.outcomes.update(each.verdict.outcome for each in outcomes)
        summary.alarms += [each.claimed.doc_uid for each in settled.done if each.verdict.alarm]
        summary.lost += len(settled.lost)
        if self.on_progress is not None:
            self.on_progress(summary)

    def _batches(self, claimed: Sequence[Claimed]) -> Iterator[tuple[Operation, list[Claimed]]]:
        """By operation, in the vendor's batch size, operations in the order of their oldest intent.

        What was in a batch that the vendor refused as a whole goes alone.
        """
        groups: dict[tuple[str, bool], list[Claimed]] = {}
        for each in claimed:
            groups.setdefault((each.operation, each.reason == BATCH_REFUSED), []).append(each)
        for (name, alone), group in groups.items():
            operation = self.operation(name)
            size = 1 if alone else operation.batch
            for start in range(0, len(group), size):
                yield operation, group[start : start + size]

    def _vendor_ids(self, claimed: Sequence[Claimed]) -> dict[str, str]:
        named = sorted({uid for each in claimed for uid in named_in(each.body)})
        if not named:
            return {}
        with self.conn.begin():
            return vendor_ids(self.conn, self.name, named)

    def _request(self, each: Claimed, known: Mapping[str, str]) -> Request:
        body = fill(each.body, known)
        return Request(each.doc_uid, each.operation, each.natural_key, each.idempotency_key, body, each.priority)

    @contextmanager
    def _rest_given_back(self, claimed: Sequence[Claimed]) -> Iterator[set[int]]:
        """Gives the ids of claimed intents; those still in the set at the end, error or not, are released."""
        left = {each.intent_id for each in claimed}
        try:
            yield left
        except Exception:
            self._release([each for each in claimed if each.intent_id in left], "given_back")
            raise
        self._release([each for each in claimed if each.intent_id in left], "waits")

    def _release(self, rest: Sequence[Claimed], reason: str) -> None:
        if not rest:
            return
        wait = self.closed_for
        if wait is None and not self.can_look_up:
            wait = self.limits.look_up_again_seconds
        message = self.summary.stopped or "given back before anything was sent"

        def give_back(conn: Connection, journal: Journal) -> None:
            until = None if wait is None else journal.now + timedelta(seconds=wait)
            claim.release(conn, journal, rest, reason=reason, message=message, until=until)

        self.transactions.run("release", give_back)
