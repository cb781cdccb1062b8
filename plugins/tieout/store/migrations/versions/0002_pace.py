"""The pace of calls, shared by all workers on one connection, and the priority of an intent.

Revision: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PACE = """
create table tieout.pace (
    connection text primary key,
    calls timestamptz[] not null default '{}',
    slots text[] not null default '{}',
    slots_until timestamptz[] not null default '{}',
    width double precision not null default 2,
    narrowed_at timestamptz,
    open_at timestamptz,
    closed_by text,
    urgent_until timestamptz,
    answer_seconds double precision,
    fastest jsonb not null default '{}',
    strain double precision not null default 1,
    has_window boolean not null default true,
    day date,
    day_calls integer not null default 0,
    day_left integer,
    day_limit integer,
    day_heard_at timestamptz,
    total_calls bigint not null default 0,
    total_refused bigint not null default 0,
    updated_at timestamptz not null default now()
) with (fillfactor = 50);
"""

# Work that must not wait is looked for first; what is left keeps the index that it has.
PRIORITY = """
alter table tieout.intent add column priority smallint not null default 0;
alter table tieout.intent add constraint intent_priority check (priority >= 0);
create index intent_urgent on tieout.intent (target, priority, intent_id) where state = 'READY' and priority > 0;
"""


def upgrade() -> None:
    op.execute(PACE)
    op.execute(PRIORITY)


def downgrade() -> None:
    raise RuntimeError("Tieout's schema only goes forward: restore a backup from before the upgrade instead")
