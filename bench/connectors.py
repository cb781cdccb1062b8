"""Reading 100,000 records of each system through its connector, beside plain httpx that pages and parses the same.

    python -m bench.connectors [--records 100000] [SYSTEM ...]

Both read the same records from the same sandbox, one after the other; the plain reader keeps what the vendor's pages
say and does nothing else: no window, no retry, no exact numbers.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import structlog

from bench.row import Row, table
from tests.connectors.standard import FAR
from tests.connectors.vendors import DRY, LONG_AGO, Vendor, systems, vendor_of
from tests.connectors.wires import Time
from tests.support.sandbox import new_sandbox

RECORDS, QUICK, CHUNK = 100_000, 5_000, 5_000


def run(quick: bool) -> Sequence[Row]:
    """A row for each system that can be read plainly here."""
    return [_measured(system, QUICK if quick else RECORDS) for system in systems() if system in PLAIN]


def _measured(system: str, records: int) -> Row:
    with _filled(system, records) as vendor:
        ours, count = _timed(lambda: _by_connector(vendor))
        plain, peers = _timed(lambda: sum(PLAIN[system](vendor)))
    if (count, peers) != (records, records):
        raise SystemExit(f"{system}: {records} records, read {count} by the connector and {peers} plainly")
    return Row(
        f"{system}: reading {records:,} records", f"{records / ours:,.0f}/s", f"httpx, {records / plain:,.0f}/s",
        ours / plain, "at most 2 x httpx", most=2.0,
    )  # fmt: skip


@contextmanager
def _filled(system: str, records: int) -> Iterator[Vendor]:
    with new_sandbox() as sandbox:
        vendor = vendor_of(system)(sandbox, Time())
        for start in range(0, records, CHUNK):
            stamps = vendor.spread(min(CHUNK, records - start), LONG_AGO + start * vendor.step)
            vendor.put(stamps, vendor.exact, "a")
        yield vendor


def _by_connector(vendor: Vendor) -> int:
    connector = vendor.connector()
    try:
        return sum(len(page.records) for page in connector.changed(vendor.entity, None, FAR))
    finally:
        connector.close()


def _timed(work: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    count = work()
    return time.perf_counter() - began, count


# --- plain readers: records of each page ------------------------------------------------------------------------------


def _salesforce(vendor: Vendor) -> Iterator[int]:
    form = {"grant_type": "client_credentials", "client_id": vendor.login, "client_secret": DRY}
    with httpx.Client(base_url=vendor.root, timeout=120) as client:
        token = client.post("/services/oauth2/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        fields = ", ".join(field.path for field in vendor.entity.fields)
        query = f"SELECT {fields}, SystemModstamp FROM Account ORDER BY SystemModstamp, Id"
        page: Mapping[str, Any] = client.get("/services/data/v62.0/query", params={"q": query}).json()
        yield len(page["records"])
        while not page["done"]:
            page = client.get(httpx.URL(vendor.root).copy_with(path=_path(vendor, page["nextRecordsUrl"]))).json()
            yield len(page["records"])


def _path(vendor: Vendor, given: str) -> str:
    mount = httpx.URL(vendor.root).path
    return given if given.startswith(mount) else f"{mount}{given}"


def _xero(vendor: Vendor) -> Iterator[int]:
    with httpx.Client(base_url=vendor.root, timeout=120) as client:
        grant = {"grant_type": "client_credentials"}
        token = client.post("/connect/token", data=grant, auth=(vendor.login, DRY)).json()["access_token"]
        client.headers.update({"Authorization": f"Bearer {token}", "Accept": "application/json"})
        client.headers["Xero-Tenant-Id"] = client.get("/connections").json()[0]["tenantId"]
        number = 1
        while found := client.get(
            f"/api.xro/2.0/{vendor.entity.object}", params={"page": number, "pageSize": 1000}
        ).json()[vendor.entity.object]:
            yield len(found)
            number += 1


def _hubspot(vendor: Vendor) -> Iterator[int]:
    properties = [field.path.removeprefix("properties.") for field in vendor.entity.fields if "." in field.path]
    params = {"limit": "100", "properties": ",".join([*properties, "hs_lastmodifieddate"])}
    with httpx.Client(base_url=vendor.root, timeout=120, headers={"Authorization": "Bearer pat-sandbox"}) as client:
        while True:
            page = client.get("/crm/v3/objects/companies", params=params).json()
            yield len(page["results"])
            if "paging" not in page:
                return
            params["after"] = page["paging"]["next"]["after"]


def _quickbooks(vendor: Vendor) -> Iterator[int]:
    realm = vendor.fields["realm_id"]
    with httpx.Client(base_url=vendor.root, timeout=120, headers={"Accept": "application/json"}) as client:
        grant = {"grant_type": "refresh_token", "refresh_token": vendor.fields["refresh_token"]}
        token = client.post("/oauth2/v1/tokens/bearer", data=grant, auth=(vendor.login, DRY)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        start = 1
        while True:
            query = f"select * from Invoice orderby MetaData.LastUpdatedTime startposition {start} maxresults 1000"
            page = client.get(f"/v3/company/{realm}/query", params={"query": query, "minorversion": "75"}).json()
            found = page["QueryResponse"].get("Invoice", [])
            yield len(found)
            if len(found) < 1000:
                return
            start += 1000


PLAIN: Mapping[str, Callable[[Vendor], Iterator[int]]] = {
    "salesforce": _salesforce, "xero": _xero, "hubspot": _hubspot, "quickbooks": _quickbooks,
}  # fmt: skip


def main() -> None:
    """Measures and prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=RECORDS)
    options.add_argument("systems", nargs="*", default=list(PLAIN))
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(table([_measured(system, given.records) for system in given.systems]))


if __name__ == "__main__":
    main()
