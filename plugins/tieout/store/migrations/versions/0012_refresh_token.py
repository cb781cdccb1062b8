"""Refresh tokens that their vendor rotates, sealed.

Revision: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = """
create table tieout.refresh_token (
    holder text primary key,
    sealed text not null,
    before text,
    begun_with text not null,
    generation bigint not null default 1,
    kept_at timestamptz not null default clock_timestamp()
);
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    raise RuntimeError("Tieout's schema only goes forward: restore a backup from before the upgrade instead")
