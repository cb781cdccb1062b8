"""The migrations make what tables.py declares, from empty and from each version before, and keep what is stored."""

from __future__ import annotations

from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from tests.support.postgres import PostgresServer
from tieout.model.errors import ConfigurationFault
from tieout.store import (
    closing_tables,
    credit_tables,
    hook_tables,
    migrate,
    period_plan_tables,
    period_tables,
    reconcile_tables,
)
from tieout.store.engine import connect

#: One object: each of these modules adds its tables to it.
DECLARED = (
    credit_tables.metadata, reconcile_tables.metadata, period_tables.metadata, period_plan_tables.metadata,
    closing_tables.metadata, hook_tables.metadata,
)  # fmt: skip


def differences(engine: Engine) -> list[object]:
    with engine.connect() as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, parents: name == "tieout" if kind == "schema" else True,
                "version_table": "schema_version",
                "version_table_schema": "tieout",
                "compare_server_default": True,
                "compare_type": True,
            },
        )
        return list(compare_metadata(context, DECLARED[0]))


def test_head_is_what_tables_py_declares(engine: Engine) -> None:
    assert migrate.current(engine) == migrate.head()
    assert differences(engine) == []


def test_the_comparison_sees_a_missing_column(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(sa.text("alter table tieout.intent drop column owner cascade"))
    assert differences(engine) != []


def test_upgrade_twice_changes_nothing(engine: Engine) -> None:
    assert migrate.upgrade(engine) == migrate.head()
    assert differences(engine) == []


def fill(engine: Engine) -> dict[str, int]:
    """A row in every table that is there and empty, whatever its columns; the number of rows in each."""
    reflected = sa.MetaData(schema="tieout")
    reflected.reflect(engine)
    checked = {
        "sync_run.state": "running", "intent.state": "READY", "dead_letter.state": "open", "proposal.kind": "rollback",
        "proposal_item.action": "none", "proposal.by_machine": True,
        "credit_limit.shares_with": "another", "report.state": "running", "break.a_keys": ["order:1"],
        "matching.a_keys": ["order:1"], "matching.b_keys": ["invoice:1"], "sign_off.role": "preparer",
        "period_plan_line.action": "hold", "period_plan.needs_approval": True,
        "period_event.event": "closed", "period_act.act": "carried_forward", "period_report_document.side": "a",
        "period_recount_item.side": "a", "period_recount_item.before": 1,
    }  # fmt: skip
    with engine.begin() as conn:
        # Only a finished report can be signed, and a finished one takes nothing more: sign_off comes last.
        for table in sorted(reflected.sorted_tables, key=lambda table: table.name == "sign_off"):
            if table.name == "schema_version" or conn.execute(sa.select(sa.func.count()).select_from(table)).scalar():
                continue
            row = {}
            if table.name == "sign_off":
                conn.execute(sa.text("update tieout.report set state = 'tied', hash = 'x', finished_at = now()"))
            if table.name == "period_reopening":  # only what is closed can be asked for
                conn.execute(sa.text("update tieout.period set state = 'closing'"))
                conn.execute(sa.text("update tieout.period set state = 'closed'"))
            for column in table.columns:
                if column.computed is not None:
                    continue
                if column.foreign_keys and not column.nullable:
                    row[column.name] = conn.execute(sa.select(next(iter(column.foreign_keys)).column)).scalar()
                elif (known := checked.get(f"{table.name}.{column.name}")) is not None:
                    row[column.name] = known
                elif column.identity is None and not column.nullable and column.server_default is None:
                    kind = column.type
                    row[column.name] = (
                        uuid4() if isinstance(kind, sa.Uuid)
                        else b"{}" if isinstance(kind, sa.LargeBinary)
                        else {} if isinstance(kind, sa.JSON)
                        else 1 if isinstance(kind, sa.Integer)
                        else 0 if isinstance(kind, sa.Numeric)
                        else sa.func.now() if isinstance(kind, sa.DateTime | sa.Date)
                        else "x"
                    )  # fmt: skip
            conn.execute(table.insert().values(row))
    with engine.connect() as conn:
        return {
            table.name: conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in reflected.sorted_tables
        }


def test_each_version_upgrades_to_the_next_with_rows_in_every_table(postgres_server: PostgresServer) -> None:
    engine = connect(postgres_server.empty_database())
    try:
        rows: dict[str, int] = {}
        for revision in migrate.revisions():
            assert migrate.upgrade(engine, revision) == revision
            now = fill(engine)
            assert {name: now.get(name) for name in rows} == rows, f"{revision} lost rows"
            rows = now
        assert rows["intent"] == rows["audit_event"] == 1
        assert differences(engine) == []
    finally:
        engine.dispose()


def test_nothing_goes_back(engine: Engine) -> None:
    from alembic import command

    from tieout.store.migrate import _config

    with engine.begin() as conn, pytest.raises(RuntimeError, match="only goes forward"):
        command.downgrade(_config(conn), "base")


def test_a_newer_database_is_refused_with_words(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(sa.text("update tieout.schema_version set version_num = '9999'"))
    with pytest.raises(ConfigurationFault, match=r"9999.*newer"):
        migrate.upgrade(engine)
    with pytest.raises(ConfigurationFault, match="expected 0"):
        migrate.require_head(engine)


@pytest.mark.parametrize(
    "statement",
    ["update tieout.audit_event set actor = 'somebody else'", "delete from tieout.audit_event",
     "truncate tieout.audit_event"],
)  # fmt: skip
def test_audit_events_can_only_be_appended(engine: Engine, statement: str) -> None:
    fill(engine)
    with engine.connect() as conn, pytest.raises(DBAPIError, match="append-only"):
        conn.execute(sa.text(statement))
