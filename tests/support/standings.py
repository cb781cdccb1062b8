"""A fiscal period of the link `demo` that is closed here, and one that the ledger has locked."""

from __future__ import annotations

from datetime import date

from sqlalchemy.engine import Engine

from tests.support.delivery import RUN
from tieout.mapping.load import load_system
from tieout.model.calendar import Period
from tieout.model.settings import load_settings
from tieout.store import periods, staging


def closed(engine: Engine, month: Period) -> None:
    with engine.begin() as conn:
        periods.begin_closing(conn, "demo", month, "petra")
        periods.close(conn, "demo", month.label, "rex", {"report": 7})


def locked(engine: Engine, until: date) -> None:
    """The ledger's lock date, as an extract stages it."""
    entity = load_system(load_settings().include / "mappings", "xero")["organisation"].staged_entity()
    with engine.begin() as conn:
        staging.ensure(conn, entity)
    organisation = {"OrganisationID": "org", "BaseCurrency": "GBP", "PeriodLockDate": until.isoformat()}
    staging.stage(engine, entity, "xero_demo", [[organisation]], RUN)
