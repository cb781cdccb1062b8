"""From what does not tie to classified differences: pairs, facts, class, and a sentence for each.

`recon_group` (match.py) -> `recon_pair`, a row for each group of items that belong together -> `recon_found`, a row
for each thing that differs, with its facts -> `recon_difference`, which record.py makes breaks of. For each pair and
currency the amounts of its rows sum to A - B: only the money row has one. All in the transaction of the items.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from tieout.reconcile.classes import ORDERED, decision
from tieout.reconcile.rules import AREAS, Rules
from tieout.reconcile.words import EXPLANATION, shown_json


@dataclass(frozen=True)
class Context:
    """What the facts of a difference are taken from.

    Attributes:
        crm, ledger: (system, connection name).
        objects: common entity of the CRM, `ledger:` and entity of the ledger -> the object that intents name.
        as_of, known_at: the report's.
        days, cut_off_hours: the link's.
        locked_until: the later of the ledger's lock dates.
        synced: area -> when the last sync that carries it began; None where none did yet.
        closed: the link's closed periods: first day, last day, when it was closed.
    """

    link: str
    crm: tuple[str, str]
    ledger: tuple[str, str]
    objects: dict[str, str]
    as_of: date
    known_at: datetime
    days: int
    cut_off_hours: int
    locked_until: date | None
    time_zone: str
    synced: dict[str, datetime]
    closed: tuple[tuple[date, date, datetime], ...] = ()


def find(conn: Connection, rules: Rules, context: Context) -> int:
    """Fills `recon_difference` (made by record.create_differences). Returns how many differences there are."""
    facts = _parameters(rules, context)
    for statement in (
        _PAIR,
        *_indexed("recon_pair", "area, match_key"),
        _SUM,
        _WHY,
        _ALIKE,
        *_indexed("recon_alike", "area, customer, amount"),
        _FOUND,
    ):
        conn.execute(text(statement), facts)
    conn.execute(text(_DIFFERENCE), facts)
    for one in ORDERED:
        if one.fixes:
            conn.execute(
                text("update recon_difference set fix = :fix where class = :class"),
                {"class": one.name, "fix": one.fixes[0]},
            )
    _tolerate(conn, rules)
    count: int = conn.execute(text("select count(*) from recon_difference")).scalar_one()
    return count


def _indexed(table: str, columns: str) -> tuple[str, str]:
    """Without these the planner takes a temporary table for a small one, and looks through all of it each time."""
    return f"create index on {table} ({columns})", f"analyze {table}"


def totals(conn: Connection, report_id: int) -> int:
    """Writes both sides of every area and currency, summed from the items alone. Returns how many."""
    return conn.execute(text(_TOTAL), {"report": report_id}).rowcount


def _parameters(rules: Rules, context: Context) -> dict[str, Any]:
    import json

    closed = [{"first": str(first), "last": str(last), "at": at.isoformat()} for first, last, at in context.closed]
    synced = {area: moment.isoformat() for area, moment in context.synced.items() if area in AREAS}
    return {
        "link": context.link, "crm_system": context.crm[0], "crm": context.crm[1],
        "ledger_system": context.ledger[0], "ledger": context.ledger[1], "objects": json.dumps(context.objects),
        "as_of": context.as_of, "known_at": context.known_at, "days": context.days,
        "cut_off": context.cut_off_hours, "locked": context.locked_until, "zone": context.time_zone,
        "synced": json.dumps(synced), "closed": json.dumps(closed), "rounding": rules.rounding_minor,
    }  # fmt: skip


def _tolerate(conn: Connection, rules: Rules) -> None:
    """Marks what is within tolerance; nothing is left out."""
    for one in ORDERED:
        bound = rules.threshold(one.name)
        conn.execute(
            text(
                "update recon_difference d set within_tolerance = true from recon_found f "
                "where f.identity = d.identity and d.class = :class and d.amount <> 0 and "
                "(abs(d.amount) <= :absolute or abs(d.amount) <= cast(:percent as numeric) * "
                "greatest(abs(f.a_amount), abs(f.b_amount)) / 100)"
            ),
            {"class": one.name, "absolute": bound.absolute, "percent": bound.percent},
        )
    conn.execute(
        text(
            "update recon_difference d set within_tolerance = true from recon_found f where f.identity = d.identity "
            "and d.class = 'date' and d.amount = 0 and f.near"
        )
    )


# --- pairs ------------------------------------------------------------------------------------------------------------

# A row for each group: how many items of each side count, all their keys, and the item whose fields are compared.


def _side(letter: str, system: str, connection: str) -> str:
    return f"""
    select i.area, i.match_key, count(*) filter (where i.live) as n, count(*) as known, bool_or(i.linked) as linked,
        bool_or(i.live and not i.main) as has_credit, max(i.later_days) as later_days,
        max(i.changed_at) as changed_at, min(i.reason) as reason,
        array_agg(distinct i.key order by i.key) as keys,
        jsonb_agg(jsonb_build_object('system', cast(:{system} as text), 'connection', cast(:{connection} as text),
            'entity', split_part(i.key, ':', 1), 'source_id', substr(i.key, strpos(i.key, ':') + 1),
            'version', i.version) order by i.key) as records,
        array_agg(distinct i.title) filter (where i.title is not null)
            || array_agg(distinct i.number) filter (where i.number is not null) as numbers,
        string_agg(distinct i.label, ', ') filter (where i.live) as labels
    from recon_left_{letter} i group by 1, 2
    """  # noqa: S608 - our own text


def _main(letter: str) -> str:
    return f"""
    select distinct on (i.area, i.match_key) i.area, i.match_key, i as item
    from recon_left_{letter} i
    order by i.area, i.match_key, i.live desc, i.main desc, i.ordinal desc, i.key desc
    """  # noqa: S608 - our own text


_PAIR = f"""
create temp table recon_pair on commit drop as
with g as (select distinct area, match_key from recon_group),
ga as ({_side("a", "crm_system", "crm")}), gb as ({_side("b", "ledger_system", "ledger")}),
ma as ({_main("a")}), mb as ({_main("b")})
select g.area, g.match_key, coalesce(ga.n, 0) as a_n, coalesce(gb.n, 0) as b_n,
    coalesce(ga.n, 0) > 0 as a_live, coalesce(gb.n, 0) > 0 as b_live,
    ga.known is not null or coalesce(gb.linked, false) as a_known,
    gb.known is not null or coalesce(ga.linked, false) as b_known,
    coalesce(gb.has_credit, false) as b_credit, greatest(ga.later_days, gb.later_days) as later_days,
    ga.changed_at as a_changed_at, gb.changed_at as b_changed_at, ga.reason as a_reason, gb.reason as b_reason,
    coalesce(ga.keys, '{{}}') as a_keys, coalesce(gb.keys, '{{}}') as b_keys,
    ga.records as a_records, gb.records as b_records,
    coalesce(ga.numbers, '{{}}') || coalesce(gb.numbers, '{{}}') as numbers,
    coalesce(ga.labels, (ma.item).label) as a_label, coalesce(gb.labels, (mb.item).label) as b_label,
    ma.item as ma, mb.item as mb, joined.tier
from g left join ga using (area, match_key) left join gb using (area, match_key)
left join ma using (area, match_key) left join mb using (area, match_key)
left join (select area, canon as match_key, min(tier) as tier from recon_joined group by 1, 2) joined
    using (area, match_key)
where ga.known is not null or gb.known is not null
"""  # noqa: S608 - our own text

# What each side of a pair comes to in each currency.
_SUM = """
create temp table recon_sum on commit drop as
select area, match_key, currency, max(scale) as scale, sum(a) as a_amount, sum(b) as b_amount,
    count(*) over (partition by area, match_key) as currencies
from (
    select i.area, i.match_key, i.currency, i.scale, i.amount as a, 0 as b from recon_left_a i
    join recon_pair using (area, match_key) where i.live
    union all
    select i.area, i.match_key, i.currency, i.scale, 0, i.amount from recon_left_b i
    join recon_pair using (area, match_key) where i.live
) both_sides group by area, match_key, currency
"""

# Why Tieout itself has not carried something over, as it was at `known_at`: dead letters, judgements, writes.
_WHY = """
create temp table recon_why on commit drop as
with keys as (
    select area, match_key, key, cast(:crm as text) as connection from recon_pair cross join unnest(a_keys) k(key)
    union all
    select area, match_key, key, cast(:ledger as text) from recon_pair cross join unnest(b_keys) k(key)),
records as (
    select area, match_key, connection, substr(key, strpos(key, ':') + 1) as source_id,
        case when area in ('balances', 'credit') then 'credit' else split_part(key, ':', 1) end as entity,
        case when connection = :crm then '' else 'ledger:' end as side
    from keys),
letters as (
    select r.area, r.match_key, min(l.reason || ': ' || l.message) as held from records r
    join tieout.dead_letter l on l.connection = r.connection and l.entity = r.entity and l.source_id = r.source_id
    where (l.link is null or l.link = :link) and l.stage not in ('settle', 'sweep')
      and l.first_seen <= :known_at and (l.closed_at is null or l.closed_at > :known_at)
    group by 1, 2),
judged as (
    select r.area, r.match_key, min(coalesce(d.reason, d.outcome) || ': ' || coalesce(d.message, d.outcome)) as held
    from records r join tieout.document d on d.link = :link and d.object = r.entity and d.source_id = r.source_id
    where d.outcome in ('held', 'quarantined') and d.updated_at <= :known_at
    group by 1, 2),
writes as (
    select distinct on (r.area, r.match_key, i.target, i.source_object, i.source_id, i.kind) r.area, r.match_key,
        i.state, i.kind, i.reason, i.message, i.updated_at
    from records r join tieout.intent i on i.link = :link and i.source = r.connection and i.source_id = r.source_id
      and i.source_object = cast(:objects as jsonb) ->> (r.side || r.entity) and i.created_at <= :known_at
    order by r.area, r.match_key, i.target, i.source_object, i.source_id, i.kind, i.revision desc)
select area, match_key, min(held) as held, min(pending) as pending from (
    select area, match_key, held, null as pending from letters
    union all select area, match_key, held, null from judged
    union all select area, match_key, coalesce(reason, lower(state)) || ': ' || coalesce(message, 'its ' || kind ||
        ' was not accepted'), null from writes where state in ('HELD', 'REJECTED')
    union all select area, match_key, null, 'its ' || replace(kind, '_', ' ') || ' is not confirmed yet' from writes
        where state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')
           or (state = 'CONFIRMED' and updated_at > :known_at)
) why group by 1, 2
"""

# What the ledger has of the same customer, currency and amount as something that stands alone there.
_ALIKE = """
create temp table recon_alike on commit drop as
select o.area, o.key, o.label, o.customer, o.currency, o.amount, o.date from recon_b o
where o.live and o.match_key <> o.key and (o.area, o.customer, o.currency, o.amount) in (
    select p.area, (p.mb).customer, (p.mb).currency, (p.mb).amount from recon_pair p
    where p.b_live and not p.a_live and not p.a_known and p.area in ('invoices', 'credit_memos', 'payments'))
"""

# --- what differs -----------------------------------------------------------------------------------------------------

#: Areas whose money is compared as `presence` while one side has nothing; the others are states and keep their measure.
_DOCUMENTS = "('invoices', 'tax', 'payments', 'credit_memos')"

_MONEY = f"""
    select p.area, p.match_key, case
            when s.currencies > 1 then 'currency'
            when p.area in {_DOCUMENTS} and not (p.a_live and p.b_live) then 'presence'
            when p.area = 'invoices' and p.b_credit and s.b_amount = 0 then 'presence'
            when p.area = 'tax' then 'tax' when p.area = 'payments' then 'paid'
            else coalesce((p.ma).measure, (p.mb).measure) end as component,
        s.currency, s.scale, s.a_amount - s.b_amount as amount, s.a_amount, s.b_amount,
        null::text as a_value, null::text as b_value
    from recon_sum s join recon_pair p using (area, match_key) where s.a_amount <> s.b_amount
"""  # noqa: S608 - our own text
# Something is missing that comes to nothing: a free order, or one whose amount cannot be read.
_NOTHING = """
    select p.area, p.match_key, case when p.area in ('invoices', 'credit_memos') then 'presence'
            else coalesce((p.ma).measure, (p.mb).measure) end, coalesce((p.ma).currency, (p.mb).currency),
        coalesce((p.ma).scale, (p.mb).scale), 0, 0, 0, null, null
    from recon_pair p
    where p.a_live <> p.b_live and p.area in ('invoices', 'credit_memos', 'prices', 'stock')
      and not exists (select from recon_sum s where s.area = p.area and s.match_key = p.match_key
        and s.a_amount <> s.b_amount)
"""


def _money_text(value: str, item: str) -> str:
    return (
        f"round({value}::numeric / power(10::numeric, {item}.scale::numeric), {item}.scale::int)::text "
        f"|| ' ' || {item}.currency"
    )


def _field(component: str, a: str, b: str, where: str) -> str:
    """A difference of one field of both records; it has no amount."""
    return f"""
    select p.area, p.match_key, '{component}', (p.ma).currency, (p.ma).scale, 0, 0, 0, {a}, {b}
    from recon_pair p where p.a_live and p.b_live and p.tier is distinct from 'confirmed' and ({where})
    """  # noqa: S608 - our own text


#: Neither the sales nor the payments of the same record differ: else what follows from those is not told again.
_SETTLED_ALIKE = """not exists (select from recon_sum s where s.match_key = p.match_key
        and s.area in (p.area, 'payments', 'tax') and s.a_amount <> s.b_amount)"""
_NAMED = "(p.ma).number is not null and p.tier is null"


def _shown(component: str, money: bool) -> str:
    a, b = f"(p.ma).{component}", f"(p.mb).{component}"
    shown_a = _money_text(a, "(p.ma)") if money else f"{a}::text"
    shown_b = _money_text(b, "(p.mb)") if money else f"{b}::text"
    return _field(
        component, shown_a, shown_b,
        f"p.area in ('invoices', 'credit_memos') and {_NAMED} and {a} is distinct from {b} "
        f"and (p.ma).currency = (p.mb).currency and {_SETTLED_ALIKE}",
    )  # fmt: skip


_FIELDS = (
    _field("customer", "coalesce((p.ma).customer_name, (p.ma).customer)",
           "coalesce((p.mb).customer_name, (p.mb).customer)",
           "(p.ma).customer is not null and (p.ma).customer is distinct from (p.mb).customer"),
    _field("date", "(p.ma).date::text", "(p.mb).date::text",
           "(p.ma).date is not null and (p.ma).date is distinct from (p.mb).date"),
    _field("rate", "(p.ma).rate::text", "(p.mb).rate::text",
           "(p.ma).rate is not null and (p.ma).rate is distinct from (p.mb).rate"),
    # Matched by a rule, or the CRM does not show the document at all.
    _field("link", "null", "coalesce((p.mb).number, (p.mb).title)",
           "p.tier is not null or (p.area in ('invoices', 'credit_memos') and (p.ma).number is null "
           "and (p.mb).number is not null)"),
    _field("number", "(p.ma).number", "(p.mb).number",
           f"p.area in ('invoices', 'credit_memos') and {_NAMED} and (p.ma).number is distinct from (p.mb).number"),
    _shown("total", True), _shown("due", True),
    _field("status", "(p.ma).status", "(p.mb).status",
           f"(p.ma).status is distinct from (p.mb).status and (p.area = 'prices' or (p.area in ('invoices', "
           f"'credit_memos') and {_NAMED} and {_SETTLED_ALIKE}))"),
    _shown("paid_on", False),
)  # fmt: skip

#: Who carries what over to the other side: there a late change is no fault yet.
_CARRIED = "case when p.area in ('invoices', 'tax', 'credit_memos') and component in ('presence', 'amount', 'tax', "
_CARRIED += "'currency', 'customer', 'date', 'rate') then p.a_changed_at else p.b_changed_at end"

_FOUND = f"""
create temp table recon_found on commit drop as
with differs as ({" union all ".join((_MONEY, _NOTHING, *_FIELDS))})
select d.*, p.a_n, p.b_n, p.a_live, p.b_live, p.a_known, p.b_known, p.later_days, p.a_keys, p.b_keys, p.a_records,
    p.b_records, p.numbers, p.a_label, p.b_label, p.ma, p.mb, nullif(p.tier, 'confirmed') as tier,
    encode(sha256(convert_to(d.area || '|' || d.component || '|' || coalesce((p.ma).key, p.a_keys[1], p.b_keys[1])
        || case when d.area = 'prices' or d.component = 'currency' then '|' || d.currency else '' end, 'UTF8')), 'hex')
        as identity,
    coalesce(why.held, case when p.a_reason is not null or p.b_reason is not null
        then concat_ws('; ', p.a_reason, p.b_reason) end) as held,
    why.pending,
    coalesce({_CARRIED} > greatest(cast(:known_at as timestamptz) - make_interval(hours => :cut_off),
        coalesce(cast(cast(:synced as jsonb) ->> d.area as timestamptz), '-infinity')), false)
        and :cut_off > 0 as recent,
    d.area = 'payments' and d.amount <> 0 and coalesce((p.mb).state = 'unapplied'
        or ((p.ma).key like 'return_order:%' and d.amount > 0), false) as unapplied,
    case when d.component in ('presence', 'paid') then coalesce(twin.label, doubled.label) end as twin,
    coalesce(coalesce((p.mb).date, (p.ma).date) <= cast(:locked as date)
        and greatest(p.a_changed_at, p.b_changed_at) >= (cast(:locked as date) + 1)::timestamp at time zone :zone,
        false) or exists (
            select from jsonb_to_recordset(cast(:closed as jsonb)) as c(first date, last date, at timestamptz)
            where coalesce((p.mb).date, (p.ma).date) between c.first and c.last
                and greatest(p.a_changed_at, p.b_changed_at) >= c.at) as in_closed_period,
    coalesce((p.mb).changed_at > greatest((p.ma).as_of,
        cast(cast(:synced as jsonb) ->> d.area as timestamptz)) or (p.ma).as_of is null, false) as stale,
    coalesce(least(length(d.a_value), length(d.b_value)) >= 20
        and (starts_with(d.a_value, d.b_value) or starts_with(d.b_value, d.a_value)), false) as cut_off,
    coalesce(d.component in ('date', 'paid_on') and abs(d.a_value::date - d.b_value::date) <= :days, false) as near
from (select area, match_key, component, currency, scale, amount, a_amount, b_amount, a_value, b_value
      from differs) d
join recon_pair p using (area, match_key)
left join recon_why why using (area, match_key)
left join lateral (
    select o.label from recon_alike o where d.component = 'presence' and p.b_live and not p.a_live and not p.a_known
      and o.area = p.area and o.key <> (p.mb).key and o.customer = (p.mb).customer
      and o.currency = (p.mb).currency and o.amount = (p.mb).amount and abs(o.date - (p.mb).date) <= :days
    order by o.key limit 1) twin on true
left join lateral (
    select x.label from recon_left_b x where d.area = 'payments' and d.component = 'paid' and d.amount < 0
      and x.area = p.area and x.match_key = p.match_key and x.live and x.amount = -d.amount
      and exists (select from recon_left_b y where y.area = p.area and y.match_key = p.match_key and y.live
        and y.key <> x.key and y.amount = x.amount and y.date = x.date)
    order by x.key limit 1) doubled on true
"""  # noqa: S608 - our own text

_DIFFERENCE = f"""
insert into recon_difference (area, identity, component, class, currency, scale, amount, within_tolerance, a_keys,
    b_keys, customer_id, customer_name, numbers, a, b, fields, explanation, fix)
select f.area, f.identity, f.component, f.class, f.currency, f.scale, f.amount, false, f.a_keys, f.b_keys,
    regexp_replace(coalesce((f.ma).customer, (f.mb).customer), '^ledger:', ''),
    coalesce((f.ma).customer_name, (f.mb).customer_name),
    array(select distinct n from unnest(f.numbers) n where n is not null order by n),
    case when f.a_records is not null then jsonb_build_object('records', f.a_records, 'shown', {shown_json("ma", "a")})
        end,
    case when f.b_records is not null then jsonb_build_object('records', f.b_records, 'shown', {shown_json("mb", "b")})
        end,
    to_jsonb(array[case when f.component in ('presence', 'paid', 'tax') then 'amount' else f.component end]),
    {EXPLANATION}, null
from (select *, {decision()} as class, :days as days from (select *, :rounding as rounding, :days as days
      from recon_found) facts) f
"""  # noqa: S608 - our own text

_TOTAL = """
insert into tieout.report_total (report_id, area, currency, scale, a_count, b_count, a_amount, b_amount, explained)
select :report, area, currency, max(scale), sum(a_count), sum(b_count), sum(a_amount), sum(b_amount), 0 from (
    select area, currency, max(scale) as scale, count(*) as a_count, 0 as b_count, sum(amount) as a_amount,
        0 as b_amount from recon_a where live group by 1, 2
    union all
    select area, currency, max(scale), 0, count(*), 0, sum(amount) from recon_b where live group by 1, 2
) both_sides group by 2, 3
"""
