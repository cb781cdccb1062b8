"""The standard suite: 100,000 records in flat memory, measured in a process that does nothing but read them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.connectors.vendors import LONG_AGO, Vendor, project

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.proves("100,000 records are read in flat memory", scenario="connector"),
]
SOME, MANY = 10_000, 100_000
#: MB that 90,000 more records may add: answers are of different sizes, and the allocator keeps a few of them.
MOST_MORE = 40.0
CHUNK = 5_000


def fill(vendor: Vendor, count: int) -> None:
    """So many records, a step apart."""
    for start in range(0, count, CHUNK):
        vendor.put(vendor.spread(min(CHUNK, count - start), LONG_AGO + start * vendor.step), vendor.exact, "a")


def test_100_000_records_are_read_in_flat_memory(vendor: Vendor) -> None:
    fill(vendor, MANY)
    until = LONG_AGO + SOME * vendor.step
    child = subprocess.run(
        [sys.executable, "-m", "tests.connectors.reading", vendor.name, vendor.sandbox.url, until.isoformat()],
        capture_output=True, text=True, cwd=project(), timeout=500, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    some, many = json.loads(child.stdout)
    assert (some["records"], many["records"]) == (SOME, MANY)
    assert many["mb"] - some["mb"] <= MOST_MORE, f"{some['mb']:.0f} MB after {SOME:,}, {many['mb']:.0f} after {MANY:,}"
