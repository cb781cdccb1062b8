"""Every query of a suite is one that PostgreSQL takes, over the staging table of its entity."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.engine import Engine

from tests.support.sandbox import ROOT
from tieout.connectors import systems
from tieout.mapping.load import load_system
from tieout.store import staging


@pytest.mark.parametrize("system", systems.names())
def test_queries_can_be_planned(engine: Engine, system: str) -> None:
    mappings = load_system(ROOT / "include" / "mappings", system)
    planned = 0
    with engine.begin() as conn:
        for mapping in mappings.values():
            if mapping.is_staged:
                staging.ensure(conn, mapping.staged_entity())
        for path in sorted((ROOT / "expectations" / system).glob("*.json")):
            entity = mappings[path.stem].staged_entity()
            for expectation in json.loads(path.read_text())["expectations"]:
                query = expectation["kwargs"].get("unexpected_rows_query")
                if query is not None:
                    planned += 1
                    conn.exec_driver_sql(f"explain {query.replace('{batch}', f'staging.{entity.table}')}")
    assert planned > 0
