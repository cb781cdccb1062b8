"""Which items of the two sides belong together: by the crosswalk, by what people confirmed, by the tiers of the rules.

What the crosswalk joins, the items' `match_key` says already. One hash join of both sides then leaves what differs in
any way in `recon_group`, its items in `recon_left_a` and `recon_left_b`, and only those go on. What is still alone
there is tried by the tiers; a tier's key that fits more records than its shape allows is suggested to people and not
used. Set-based, in the transaction of the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from tieout.reconcile.items import TIES_BY, TIES_BY_WHERE_STATED
from tieout.reconcile.rules import KEYS, Rules, Tier

#: Suggestions for one key that fits too much; more would help nobody to choose.
MOST_SUGGESTED = 20
#: Memory for the one join of everything, so that it does not go to disk below a million items a side.
WORK_MEMORY = "256MB"


@dataclass(frozen=True, slots=True)
class Matched:
    """How much was joined by what. `by_tier`: `area.tier` -> pairs used; `suggested`: ambiguous ones."""

    confirmed: int
    by_tier: dict[str, int]
    suggested: int


def match(conn: Connection, link: str, rules: Rules, days: int, known_at: datetime) -> Matched:
    """Leaves in `recon_group` the (area, match_key) of everything that does not tie, and its items; see the module.

    Args:
        days: greatest distance of two dates that are near.
        known_at: decisions of people until then count.
    """
    conn.execute(text(f"set local work_mem = '{WORK_MEMORY}'"))
    # Compiling these statements takes longer than running them, whatever the planner thinks.
    conn.execute(text("set local jit = off"))
    conn.execute(text("create temp table recon_group (area text, match_key text) on commit drop"))
    conn.execute(
        text(
            "create temp table recon_joined (area text, a_key text, b_key text, canon text, tier text, n integer) "
            "on commit drop"
        )
    )
    conn.execute(
        text(
            "create temp table recon_suggested (area text, a_keys text[], b_keys text[], tier text, "
            "score numeric(5,4), evidence jsonb) on commit drop"
        )
    )
    confirmed = _confirmed(conn, link, known_at)
    for statement in (*_NEAR, _DIFFERING, *_LEFT):
        conn.execute(text(statement))
    by_tier = _tiers(conn, link, rules, days, known_at)
    suggested = conn.execute(text("select count(*) from recon_suggested")).scalar_one()
    return Matched(confirmed, by_tier, suggested)


def keep_suggestions(conn: Connection, link: str, report_id: int) -> int:
    """Keeps what is suggested until a person decides; what was decided before stays as it is."""
    return conn.execute(
        text(
            "insert into tieout.matching (link, area, a_keys, b_keys, tier, score, evidence, report_id) "
            "select :link, area, a_keys, b_keys, tier, score, evidence, :report from recon_suggested "
            "on conflict on constraint matching_once do update set report_id = excluded.report_id "
            "where matching.state = 'suggested'"
        ),
        {"link": link, "report": report_id},
    ).rowcount


_TIES = " and ".join(
    ["a.live and b.live and a.alone and b.alone"]
    + [f"a.{name} is not distinct from b.{name}" for name in TIES_BY]
    + [f"(a.{name} is null or a.{name} is not distinct from b.{name})" for name in TIES_BY_WHERE_STATED]
)

#: Narrow first: what has one `h` and one `same` ties, and is most of it. Two records that differ and yet have one
#: `same` of 64 bits are not to be expected in the lifetime of the books; with other amounts the report would not tie.
_NEAR = (
    """
    create temp table recon_near on commit drop as
    select distinct coalesce(a.h, b.h) as h from recon_a a full join recon_b b on a.h = b.h
    where (a.same = b.same) is not true
    """,
    "analyze recon_near",
    *(
        f"create temp table recon_near_{side} on commit drop as "  # noqa: S608 - a or b
        f"select i.* from recon_{side} i join recon_near using (h)"
        for side in ("a", "b")
    ),
    *(f"analyze recon_near_{side} (area, match_key, h)" for side in ("a", "b")),
)
#: Then exactly. Two keys of one `h` are a pair that does not tie: both go on, and are compared by their keys there.
_DIFFERING = f"""
    insert into recon_group
    select k.area, k.match_key
    from recon_near_a a full join recon_near_b b on a.h = b.h
    cross join lateral (values (a.area, a.match_key), (b.area, b.match_key)) k(area, match_key)
    where (a.live or b.live) and k.match_key is not null
      and not coalesce(a.match_key = b.match_key and a.area = b.area and {_TIES}, false)
"""  # noqa: S608 - names from the constants of items.py

#: The items of what differs.
_LEFT = tuple(
    statement
    for side in ("a", "b")
    for statement in (
        f"create temp table recon_left_{side} on commit drop as select i.* from recon_near_{side} i "  # noqa: S608
        "join (select distinct area, match_key from recon_group) g using (area, match_key)",
        f"create index on recon_left_{side} (area, match_key)",
        f"analyze recon_left_{side}",
    )
)


# --- what people confirmed ----------------------------------------------------------------------------------------


def _confirmed(conn: Connection, link: str, known_at: datetime) -> int:
    found = conn.execute(
        text(
            """
            insert into recon_joined
            select m.area, a.key, b.key, m.a_keys[1], 'confirmed', 0 from tieout.matching m
            cross join unnest(m.a_keys) a(key) cross join unnest(m.b_keys) b(key)
            where m.link = :link and m.state = 'confirmed' and m.decided_at <= :known_at
            """
        ),
        {"link": link, "known_at": known_at},
    ).rowcount
    if found:
        _join(conn, "confirmed", "recon")
    return found


def _join(conn: Connection, tier: str, items: str) -> None:
    """Gives what is joined one match_key: that of the first record of the CRM. `items`: before the `_a` and `_b`."""
    conn.execute(
        text(
            f"""
            update {items}_b b set match_key = j.canon, alone = false from (
                select area, b_key as key, min(canon) as canon from recon_joined where tier = :tier group by 1, 2) j
            where b.area = j.area and b.key = j.key
            """  # noqa: S608 - one of two names
        ),
        {"tier": tier},
    )
    # What the crosswalk gave one of these records of the CRM, such as a voided document, comes along.
    conn.execute(
        text(
            f"""
            update {items}_b b set match_key = j.canon, alone = false from (
                select area, a_key as key, min(canon) as canon from recon_joined where tier = :tier group by 1, 2) j
            where b.area = j.area and b.match_key = j.key
            """  # noqa: S608 - one of two names
        ),
        {"tier": tier},
    )
    conn.execute(
        text(
            f"""
            update {items}_a a set match_key = j.canon, alone = false from (
                select area, a_key as key, min(canon) as canon from recon_joined where tier = :tier group by 1, 2) j
            where a.area = j.area and a.key = j.key
            """  # noqa: S608 - one of two names
        ),
        {"tier": tier},
    )


# --- tiers --------------------------------------------------------------------------------------------------------


def _tiers(conn: Connection, link: str, rules: Rules, days: int, known_at: datetime) -> dict[str, int]:
    used: dict[str, int] = {}
    conn.execute(text(_OPEN_A))
    conn.execute(text(_OPEN_B))
    for area, tiers in rules.tiers.items():
        for tier in tiers:
            name = f"{area}.{tier.name}"
            facts = {"area": area, "tier": tier.name, "link": link, "days": days, "known_at": known_at,
                     "rounding": rules.rounding_minor}  # fmt: skip
            _candidates(conn, tier, facts)
            used[name] = _use(conn, name, facts)
    return used


#: What counts on one side and has nothing that counts on the other; of the ledger, what no crosswalk claims.
_OPEN_A = """
    create temp table recon_open_a on commit drop as
    select a.* from recon_left_a a where a.live and not exists (
        select from recon_left_b b where b.live and b.area = a.area and b.match_key = a.match_key)
"""
_OPEN_B = """
    create temp table recon_open_b on commit drop as
    select b.* from recon_left_b b where b.live and not b.linked and not exists (
        select from recon_left_a a where a.area = b.area and a.match_key = b.match_key)
"""


def _candidates(conn: Connection, tier: Tier, facts: dict[str, Any]) -> None:
    """Sets of keys that fit one another, with whether they are the only ones."""
    conn.execute(text("drop table if exists recon_candidate"))
    conn.execute(
        text(
            "create temp table recon_candidate (a_keys text[], b_keys text[], fits integer, evidence jsonb) "
            "on commit drop"
        )
    )
    columns = [KEYS[name] for name in tier.on]
    query = _one_to_one(tier, columns) if tier.shape == ("1:1",) else _grouped(tier, columns, tier.shape)
    conn.execute(text(query), facts)


def _one_to_one(tier: Tier, columns: Sequence[str]) -> str:
    same = " and ".join(f"a.{name} = b.{name}" for name in columns)
    near = "and abs(a.date - b.date) <= :days" if tier.dates == "near" else ""
    equal = "and abs(a.amount - b.amount) <= :rounding" if tier.amount == "equal" else ""
    return f"""
        insert into recon_candidate
        with pairs as (
            select a.key as a_key, b.key as b_key, {_evidence(columns)} as evidence
            from recon_open_a a join recon_open_b b on {same} {near} {equal}
            where a.area = :area and b.area = :area {_NOT_REFUSED.format(a="array[a.key]", b="array[b.key]")}),
        counted as (
            select *, count(*) over (partition by a_key) as of_a, count(*) over (partition by b_key) as of_b from pairs)
        select array[a_key], array[b_key], greatest(of_a, of_b), evidence from counted
    """  # noqa: S608 - names from rules.KEYS


def _grouped(tier: Tier, columns: Sequence[str], shapes: Sequence[str]) -> str:
    keys = ", ".join(columns)
    present = " and ".join(f"{name} is not null" for name in columns)
    sums = "abs(ga.amount - gb.amount) <= :rounding" if tier.amount == "equal" else "true"
    near = "greatest(ga.latest, gb.latest) - least(ga.earliest, gb.earliest) <= :days"
    dates = near if tier.dates == "near" else "true"
    fits = " or ".join(
        {"1:1": "(ga.n = 1 and gb.n = 1)", "1:N": "(ga.n = 1 and gb.n > 1)", "N:1": "(ga.n > 1 and gb.n = 1)",
         "N:N": "(ga.n > 1 and gb.n > 1)"}[shape] for shape in shapes
    )  # fmt: skip
    group = f"""
        select {keys}, array_agg(key order by key) as keys, count(*) as n, sum(amount) as amount,
            min(date) as earliest, max(date) as latest
        from recon_open_{{side}} where area = :area and {present} group by {keys}
    """  # noqa: S608 - names from rules.KEYS
    return f"""
        insert into recon_candidate
        select ga.keys, gb.keys, case when {fits} then 1 else 2 end, {_evidence(columns, "ga")}
        from ({group.format(side="a")}) ga join ({group.format(side="b")}) gb using ({keys})
        where {sums} and {dates} {_NOT_REFUSED.format(a="ga.keys", b="gb.keys")}
    """  # noqa: S608 - names from rules.KEYS


_NOT_REFUSED = """
    and not exists (select from tieout.matching m where m.link = :link and m.area = :area and m.state = 'refused'
        and m.decided_at <= :known_at and m.a_keys = {a} and m.b_keys = {b})
"""


def _evidence(columns: Sequence[str], of: str = "a") -> str:
    return "jsonb_build_object(" + ", ".join(f"'{name}', {of}.{name}" for name in columns) + ")"


def _use(conn: Connection, name: str, facts: dict[str, Any]) -> int:
    """Joins what fits once, suggests what fits more than once; what is joined is open no more."""
    joined = conn.execute(
        text(
            """
            insert into recon_joined
            select :area, a.key, b.key, c.a_keys[1], :name, 1 from recon_candidate c
            cross join unnest(c.a_keys) a(key) cross join unnest(c.b_keys) b(key) where c.fits = 1
            """
        ),
        {**facts, "name": name},
    ).rowcount
    conn.execute(
        text(
            """
            insert into recon_suggested
            select :area, a_keys, b_keys, :tier, case when fits = 1 then 1.0 else round(1.0 / fits, 4) end,
                evidence || jsonb_build_object('fits', fits) from (
                select *, row_number() over (partition by a_keys order by b_keys) as nth from recon_candidate) c
            where fits = 1 or nth <= :most
            """
        ),
        {**facts, "most": MOST_SUGGESTED},
    )
    if joined:
        _join(conn, name, "recon_left")
        conn.execute(text("insert into recon_group select distinct area, canon from recon_joined where tier = :name"),
                     {"name": name})  # fmt: skip
        for side in ("a", "b"):
            conn.execute(
                text(
                    f"delete from recon_open_{side} o using recon_joined j "  # noqa: S608 - a or b
                    f"where j.tier = :name and j.area = o.area and j.{side}_key = o.key"
                ),
                {"name": name},
            )
    return joined
