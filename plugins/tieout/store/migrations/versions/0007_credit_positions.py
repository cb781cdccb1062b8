"""Credit as it was last worked out, a row a customer: what the page of limits shows.

Revision: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
create table tieout.credit_position (
    link text not null,
    account_id text not null,
    name text,
    currency text,
    limit_minor bigint,
    open_minor bigint,
    overdue_minor bigint,
    available_minor bigint,
    rates text,
    reason text,
    message text,
    changed_at timestamptz not null default now(),
    primary key (link, account_id)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise RuntimeError("Tieout's schema only goes forward: restore a backup from before the upgrade instead")
