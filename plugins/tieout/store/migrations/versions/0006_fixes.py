"""Proposals that mend breaks: sent again, linked, written off; each names the break that it is for.

Revision: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHANGES = """
alter table tieout.proposal drop constraint proposal_kind;
alter table tieout.proposal add constraint proposal_kind
    check (kind in ('rollback','void_duplicate','resend','relink','write_off'));
alter table tieout.proposal_item drop constraint proposal_item_action;
alter table tieout.proposal_item add constraint proposal_item_action
    check (action in ('void','credit','resend','relink','write_off','none'));
alter table tieout.proposal_item add column break_id bigint references tieout.break (break_id);
create index proposal_item_break on tieout.proposal_item (break_id) where break_id is not null;
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    raise RuntimeError("Tieout's schema only goes forward: restore a backup from before the upgrade instead")
