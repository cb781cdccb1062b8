"""The day that puts an item into a period: its record's, its own, that of its last change."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd

from tieout.scenarios.periods.days import PeriodBooks, _by_key


def test_a_payment_of_several_invoices_has_its_own_day_and_not_that_of_its_last_change() -> None:
    march, april = date(2026, 3, 31), date(2026, 4, 2)
    books = SimpleNamespace(
        scope=SimpleNamespace(days={"invoice:1": march}), known_at=datetime(2026, 4, 3, tzinfo=UTC),
        services=SimpleNamespace(link=SimpleNamespace(time_zone="Europe/London")),
    )  # fmt: skip
    changed: Any = pd.Timestamp("2026-04-02T10:00:00Z")
    frame = pd.DataFrame({
        "key": ["invoice:1", "payment:5:1", "payment:5:2", "payment:6"], "date": [april, march, march, None],
        "changed_at": [changed] * 4,
    })  # fmt: skip
    found = _by_key(cast(PeriodBooks, books), frame)
    assert found["day"].tolist() == [march, march, march, april]
