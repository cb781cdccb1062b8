"""What a reconciliation found becomes breaks with a history, the items of its report, and its roll-forward. Set-based.

Whoever matches fills the temporary table `recon_difference`, one row a break, and the sides of `tieout.report_total`;
`record` does the rest in the same transaction. docs/breaks.md says what the states mean.

The live state of a break follows the newest day only. A report of a past day gets its own items and roll-forward, and
clears or reopens nothing. How roll-forwards are added up is rolls.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.errors import Fatal
from tieout.reconcile import report_store, rolls
from tieout.reconcile.report_store import Report

ACTOR = "tieout"
#: Joins of 100,000 wide rows stay in memory.
WORK_MEMORY = "128MB"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a report did to the breaks of its link. `live`: items of the report; the others are 0 for a past day."""

    opened: int
    changed: int
    cleared: int
    reopened: int
    live: int


class RecordedAlready(Fatal):
    """The report has its items: what was counted is not counted again."""


def create_differences(conn: Connection) -> None:
    """Makes the temporary table `recon_difference`, gone when the transaction ends; columns as `break` has them."""
    conn.execute(sa.text(_DIFFERENCES))


def record(conn: Connection, report: Report) -> Recorded:
    """Merges `recon_difference` into the breaks of the report's link and writes the report's items, classes and roll.

    Raises:
        RecordedAlready: the report has items, classes or a roll already: open a new one.
    """
    wait_for_recording(conn, report.link)
    report = report_store.opens_with(conn, report)
    _refuse_twice(conn, report)
    values = {"report": report.report_id, "link": report.link, "as_of": report.as_of, "actor": ACTOR,
              "previous": report.previous_report_id}  # fmt: skip
    conn.execute(sa.text(f"set local work_mem = '{WORK_MEMORY}'"))
    conn.execute(sa.text("analyze recon_difference (identity, area, currency, class)"))
    later = conn.execute(sa.text(_LATER), values).one()
    if later.newer:
        values["cleared_on"] = later.next_day or report.as_of
        conn.execute(sa.text(_SEEN_IN_THE_PAST), values)
        conn.execute(sa.text(_OPEN_IN_THE_PAST), values)
        opened = changed = reopened = cleared = 0
    else:
        conn.execute(sa.text(_KNOWN), values)
        conn.execute(sa.text("analyze recon_known (identity, break_id, event)"))
        conn.execute(sa.text(_CHANGE), values)
        conn.execute(sa.text(_REWORD), values)
        conn.execute(sa.text(_SEE), values)
        conn.execute(sa.text(_TELL), values)
        opened = conn.execute(sa.text(_OPEN), values).rowcount
        cleared = conn.execute(sa.text(_CLEAR), values).rowcount
        counted = conn.execute(sa.text(_COUNT_KNOWN)).one()
        changed, reopened = counted.changed, counted.reopened
    live = conn.execute(sa.text(_ITEMS), values).rowcount
    conn.execute(sa.text(_CLASSES), values)
    conn.execute(sa.text(_EXPLAINED), values)
    rolls.write(conn, report)
    return Recorded(opened, changed, cleared, reopened, live)


def wait_for_recording(conn: Connection, link: str, *, shared: bool = False) -> None:
    """Until the transaction ends, breaks of the link change here only; with `shared`, by people, but by no report."""
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    conn.execute(sa.text(f"select {function}(hashtextextended('tieout.breaks:' || :link, 0))"), {"link": link})


def _refuse_twice(conn: Connection, report: Report) -> None:
    there = conn.execute(
        sa.text(
            "select exists (select from tieout.report_item where report_id = :report) "
            "or exists (select from tieout.report_roll where report_id = :report)"
        ),
        {"report": report.report_id},
    ).scalar_one()
    if there:
        raise RecordedAlready(f"report {report.report_id} is recorded already: open a new one for {report.as_of}")


_DIFFERENCES = """
create temp table recon_difference (
    area text not null, identity text primary key, component text not null, class text not null,
    currency text not null, scale smallint not null, amount bigint not null,
    within_tolerance boolean not null default false,
    a_keys text[] not null default '{}', b_keys text[] not null default '{}',
    customer_id text, customer_name text, numbers text[] not null default '{}',
    a jsonb, b jsonb, fields jsonb not null default '[]', explanation text not null, fix text
) on commit drop
"""

# Whether a newer report counts already, and the first day after this one that has a report.
_LATER = """
select coalesce(bool_or(as_of > :as_of or report_id > :report), false) as newer,
    min(as_of) filter (where as_of > :as_of) as next_day
from tieout.report where link = :link and state <> 'running' and as_of >= :as_of
"""

# What is there of each difference, and what this report makes of it. An acceptance is of one amount of one class, and
# what a person closed is closed only if it is not there any more.
_KNOWN = """
create temp table recon_known on commit drop as
select d.identity, b.break_id,
    case when b.state = 'closed' or (b.state = 'accepted' and now.differs) then 'reopened'
         when now.differs then 'changed' end as event,
    (b.component, b.scale, b.within_tolerance, b.a_keys, b.b_keys, b.customer_id, b.customer_name, b.numbers, b.a, b.b,
        b.explanation, b.fix)
        is distinct from (d.component, d.scale, d.within_tolerance, d.a_keys, d.b_keys, d.customer_id, d.customer_name,
        d.numbers, d.a, d.b, d.explanation, d.fix) as reworded,
    jsonb_strip_nulls(jsonb_build_object(
        'class', case when b.class <> d.class then jsonb_build_array(b.class, d.class) end,
        'currency', case when b.currency <> d.currency then jsonb_build_array(b.currency, d.currency) end,
        'amount', case when b.amount <> d.amount then jsonb_build_array(b.amount, d.amount) end,
        'fields', case when b.fields <> d.fields then jsonb_build_array(b.fields, d.fields) end,
        'was', case when b.cleared_on is not null then 'cleared on ' || b.cleared_on
                    when b.state in ('closed', 'accepted') then b.state end)) as detail
from recon_difference d join tieout.break b on b.link = :link and b.identity = d.identity
cross join lateral (
    select (b.class, b.currency, b.amount, b.fields) is distinct from (d.class, d.currency, d.amount, d.fields)
        as differs) now
"""

# Everything that the reconciliation knows of a break; what people wrote stays, but for what a reopening undoes.
_FACTS = """
    class = d.class, currency = d.currency, scale = d.scale, amount = d.amount, component = d.component,
    within_tolerance = d.within_tolerance, a_keys = d.a_keys, b_keys = d.b_keys, customer_id = d.customer_id,
    customer_name = d.customer_name, numbers = d.numbers, a = d.a, b = d.b, fields = d.fields,
    explanation = d.explanation, fix = d.fix"""
_CHANGE = f"""
update tieout.break b set {_FACTS},
    last_seen = :as_of, last_report_id = :report, cleared_on = null,
    state = case when k.event = 'reopened' then 'open' else b.state end,
    reason_code = case when k.event = 'reopened' then null else b.reason_code end,
    due_on = case when k.event = 'reopened' then null else b.due_on end,
    reopened = b.reopened + (k.event = 'reopened')::int,
    updated_at = clock_timestamp()
from recon_difference d join recon_known k using (identity)
where b.break_id = k.break_id and k.event is not null
"""  # noqa: S608 - constants of this module; values are bound
# Nothing that counts has changed, so it is no event; names and explanations may have. The rest of the rows gets its new
# day without touching an index (HOT): most breaks stay as they are from day to day.
_REWORD = f"""
update tieout.break b set {_FACTS}
from recon_difference d join recon_known k using (identity)
where b.break_id = k.break_id and k.event is null and k.reworded
"""  # noqa: S608 - as above
_SEE = """
update tieout.break b set last_seen = :as_of, last_report_id = :report
from recon_known k where b.break_id = k.break_id and k.event is null
"""
_TELL = """
insert into tieout.break_event (break_id, actor, event, report_id, detail)
select break_id, :actor, event, :report, detail from recon_known where event is not null order by break_id
"""
_COUNT_KNOWN = """
select count(*) filter (where event = 'changed') as changed, count(*) filter (where event = 'reopened') as reopened
from recon_known
"""

_COLUMNS = """area, identity, component, class, currency, scale, amount, within_tolerance, a_keys, b_keys, customer_id,
    customer_name, numbers, a, b, fields, explanation, fix"""
_OPEN = f"""
with opened as (
    insert into tieout.break (link, {_COLUMNS}, first_seen, first_report_id, last_seen, last_report_id)
    select :link, {_COLUMNS}, :as_of, :report, :as_of, :report from recon_difference d
    where not exists (select from recon_known k where k.identity = d.identity)
    returning break_id, class, currency, amount)
insert into tieout.break_event (break_id, actor, event, report_id, detail)
select break_id, :actor, 'opened', :report, jsonb_build_object('class', class, 'currency', currency, 'amount', amount)
from opened
"""  # noqa: S608 - as above
_CLEAR = """
with cleared as (
    update tieout.break set cleared_on = :as_of, state = 'closed', updated_at = clock_timestamp()
    where link = :link and cleared_on is null and last_report_id <> :report
    returning break_id, class, currency, amount)
insert into tieout.break_event (break_id, actor, event, report_id, detail)
select break_id, :actor, 'cleared', :report, jsonb_build_object('class', class, 'currency', currency, 'amount', amount)
from cleared
"""

# A past day tells how long a break has been there, and nothing of whether it is there today.
_SEEN_IN_THE_PAST = """
with seen as (
    update tieout.break b set first_seen = least(b.first_seen, :as_of), last_seen = greatest(b.last_seen, :as_of),
        first_report_id = case when :as_of < b.first_seen then :report else b.first_report_id end
    from recon_difference d
    where b.link = :link and b.identity = d.identity and (:as_of < b.first_seen or :as_of > b.last_seen)
    returning b.break_id)
insert into tieout.break_event (break_id, actor, event, report_id, detail)
select break_id, :actor, 'seen_in_the_past', :report, jsonb_build_object('as_of', cast(:as_of as date)) from seen
"""
_OPEN_IN_THE_PAST = f"""
with opened as (
    insert into tieout.break (link, {_COLUMNS}, first_seen, first_report_id, last_seen, last_report_id,
        cleared_on, state)
    select :link, {_COLUMNS}, :as_of, :report, :as_of, :report, :cleared_on, 'closed' from recon_difference
    on conflict (link, identity) do nothing
    returning break_id, class, currency, amount)
insert into tieout.break_event (break_id, actor, event, report_id, detail)
select break_id, :actor, told.event, :report, jsonb_build_object(
    'class', class, 'currency', currency, 'amount', amount, 'cleared_on', cast(:cleared_on as date))
from opened cross join (values (1, 'opened'), (2, 'cleared')) as told(position, event) order by break_id, position
"""  # noqa: S608 - as above

_ITEMS = """
insert into tieout.report_item (report_id, break_id, class, currency, amount)
select :report, b.break_id, d.class, d.currency, d.amount
from recon_difference d join tieout.break b on b.link = :link and b.identity = d.identity
order by b.break_id
"""
_CLASSES = """
insert into tieout.report_class (report_id, area, currency, class, count, amount, new_count, within_tolerance)
select :report, d.area, d.currency, d.class, count(*), sum(d.amount),
    count(*) filter (where p.break_id is null), count(*) filter (where d.within_tolerance)
from recon_difference d join tieout.break b on b.link = :link and b.identity = d.identity
left join tieout.report_item p on p.report_id = :previous and p.break_id = b.break_id
group by d.area, d.currency, d.class
"""
# A difference in an area and currency of which no side was counted stays unexplained: the report cannot tie by it.
_EXPLAINED = """
insert into tieout.report_total as t
    (report_id, area, currency, scale, a_count, b_count, a_amount, b_amount, explained)
select :report, area, currency, max(scale), 0, 0, 0, 0, sum(amount) from recon_difference group by area, currency
on conflict (report_id, area, currency) do update set explained = excluded.explained
"""
