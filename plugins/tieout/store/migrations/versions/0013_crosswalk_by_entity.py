"""A document of a ledger is known by its entity and id: some count each kind of record by itself.

Revision: 0013
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table tieout.crosswalk drop constraint crosswalk_vendor")
    # vendor_id before entity: whoever looks a record up by the vendor's id alone goes by this index too.
    op.execute("alter table tieout.crosswalk add constraint crosswalk_vendor unique (target, vendor_id, entity)")


def downgrade() -> None:
    raise RuntimeError("Tieout's schema only goes forward: restore a backup from before the upgrade instead")
