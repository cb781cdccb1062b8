"""simple-salesforce as it is, over real HTTP.

The library builds `https://<host>/services/...` from the host alone. So these tests serve the organisation at the
root of a server of its own, with a self-signed certificate; its log-in to `https://<domain>.salesforce.com` is led to
that server by an adapter of the session.
"""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import ipaddress
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from sandbox.faults import FaultPlan, Faults
from sandbox.salesforce.app import create_app
from sandbox.state import State

pytestmark = [
    pytest.mark.proves(
        "simple-salesforce, unchanged, works with the sandbox", scenario="connector", systems=("salesforce",)
    )
]

ACCOUNT_FIELDS = {
    "Account": [
        {"name": "Code__c", "type": "Text", "length": 36, "externalId": True, "unique": True},
        {"name": "Loose__c", "type": "Text", "length": 36, "externalId": True},
    ]
}


def certificate(folder: Path) -> tuple[Path, Path, rsa.RSAPrivateKey]:
    """(certificate file, key file, key) for 127.0.0.1."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    style = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, style, plain))
    return pem, secret, key


class Server:
    """The organisation at `https://127.0.0.1:port`, in a thread."""

    def __init__(self, folder: Path) -> None:
        self.certificate, secret, self.key = certificate(folder)
        self.state = State(folder / "salesforce.sqlite")
        self.plan = FaultPlan()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(self.state, Faults(self.plan, "salesforce")),
            ssl_certfile=str(self.certificate),
            ssl_keyfile=str(secret),
            log_level="warning",
            access_log=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve(sockets=[self._socket])))

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        self._socket.close()
        self.state.close()

    def session(self) -> requests.Session:
        """A session that trusts the certificate and finds salesforce.com here."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.certificate)
        session.mount("https://tests.salesforce.com", _Here(self.host))
        return session


class _Here(HTTPAdapter):
    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        assert request.url is not None
        request.url = request.url.replace("tests.salesforce.com", self.host)
        return super().send(request, *args, **kwargs)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("simple_salesforce")) as running:
        yield running


@pytest.fixture
def sf(server: Server) -> Salesforce:
    """A client with a log-in of its own; the organisation is emptied before."""
    session = server.session()
    client = Salesforce(
        consumer_key="sandbox-consumer", consumer_secret="sandbox-secret", domain="tests", session=session
    )
    for name in ("Account", "Contact"):
        table = server.state.table(name)
        with server.state.transaction():
            for id_ in list(table.keys()):
                table.delete(id_)
    answer = session.post(f"https://{server.host}/_sandbox/metadata", json={"fields": ACCOUNT_FIELDS})
    assert answer.status_code == 200
    server.plan.clear()
    return client


def test_log_in_by_client_credentials(sf: Salesforce, server: Server) -> None:
    assert sf.sf_instance == server.host
    again = Salesforce(session_id=sf.session_id, instance_url=f"https://{server.host}", session=server.session())
    assert again.is_sandbox() is True
    with pytest.raises(SalesforceAuthenticationFailed):
        Salesforce(consumer_key="sandbox-consumer", consumer_secret="no", domain="tests", session=server.session())


def test_log_in_by_a_signed_assertion(server: Server) -> None:
    style = serialization.PublicFormat.SubjectPublicKeyInfo
    public = server.key.public_key().public_bytes(serialization.Encoding.PEM, style).decode()
    client = {"consumer_key": "jwt", "username": "me@example.com", "public_key": public}
    assert server.session().post(f"https://{server.host}/_sandbox/clients", json=client).status_code == 200
    private = server.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    sf = Salesforce(
        username="me@example.com",
        consumer_key="jwt",
        privatekey=private.decode(),
        domain="tests",
        session=server.session(),
    )
    assert sf.query("SELECT Id FROM User")["totalSize"] == 1


def test_records_one_by_one(sf: Salesforce) -> None:
    made = sf.Account.create({"Name": "Acme"})
    assert made["success"] is True
    id_ = made["id"]
    assert sf.Account.update(id_, {"Site": "here"}) == 204
    assert sf.Account.get(id_)["Site"] == "here"
    assert sf.Account.upsert("Code__c/C-1", {"Name": "By code"}) == 201
    assert sf.Account.upsert("Code__c/C-1", {"Name": "By code 2"}) == 200
    assert sf.Account.get_by_custom_id("Code__c", "C-1")["Name"] == "By code 2"
    assert sf.Account.delete(id_) == 204


def test_queries_page_by_page(sf: Salesforce, server: Server) -> None:
    records = [{"Name": f"A{number:05d}"} for number in range(4500)]
    url = f"https://{server.host}/_sandbox/raw/Account"
    assert server.session().post(url, json={"records": records}).status_code == 200
    answer = sf.query_all("SELECT Id, Name FROM Account ORDER BY Name")
    assert answer["totalSize"] == 4500 and answer["done"]
    assert [one["Name"] for one in answer["records"]] == [one["Name"] for one in records]
    names = [one["Name"] for one in sf.query_all_iter("SELECT Name FROM Account WHERE Name < 'A02100'")]
    assert len(names) == 2100
    assert len(sf.query("SELECT Id FROM Account")["records"]) == 2000


def test_describes_limits_and_usage(sf: Salesforce) -> None:
    assert sf.describe()["maxBatchSize"] == 200
    fields = {one["name"]: one for one in sf.Account.describe()["fields"]}
    assert fields["Code__c"]["externalId"] and fields["Name"]["length"] == 255
    assert sf.Account.metadata()["objectDescribe"]["keyPrefix"] == "001"
    assert sf.limits()["DailyApiRequests"]["Max"] == 1_000_000
    assert sf.api_usage["api-usage"].total == 1_000_000


def test_what_changed_and_what_is_gone(sf: Salesforce) -> None:
    kept, gone = (sf.Account.create({"Name": name})["id"] for name in ("Kept", "Gone"))
    sf.Account.delete(gone)
    end = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=2)
    start = end - dt.timedelta(hours=1)
    assert sf.Account.updated(start, end)["ids"] == [kept]
    assert [one["id"] for one in sf.Account.deleted(start, end)["deletedRecords"]] == [gone]
    deleted = sf.query("SELECT Id FROM Account WHERE IsDeleted = true", include_deleted=True)
    assert [one["Id"] for one in deleted["records"]] == [gone]


def test_bulk(sf: Salesforce) -> None:
    data = [{"Name": f"B{number}", "Code__c": f"C{number}"} for number in range(30)] + [{"Name": "", "Code__c": "bad"}]
    result = sf.bulk2.Account.insert(records=data, wait=0.01)
    assert result[0]["numberRecordsProcessed"] == 31 and result[0]["numberRecordsFailed"] == 1
    failed = list(csv.DictReader(io.StringIO(sf.bulk2.Account.get_failed_records(result[0]["job_id"]))))
    assert failed[0]["sf__Error"].startswith("REQUIRED_FIELD_MISSING")
    pages = list(sf.bulk2.Account.query("SELECT Name, Code__c FROM Account ORDER BY Name", max_records=12))
    rows = [row for page in pages for row in csv.DictReader(io.StringIO(page))]
    assert len(pages) == 3
    assert sorted(row["Name"] for row in rows) == sorted(one["Name"] for one in data if one["Name"])


def test_errors_by_their_class(sf: Salesforce, server: Server) -> None:
    with pytest.raises(SalesforceMalformedRequest):
        sf.query("SELECT Nope FROM Account")
    with pytest.raises(SalesforceMalformedRequest):
        sf.Account.create({})
    with pytest.raises(SalesforceResourceNotFound):
        sf.Account.get("001Ws0000000zzz")
    for _ in range(2):
        sf.Account.create({"Name": "A", "Loose__c": "same"})
    with pytest.raises(SalesforceMoreThanOneRecord):
        sf.Account.get_by_custom_id("Loose__c", "same")
    server.plan.load({"rules": [{"fault": "status_429", "times": 1}]})
    with pytest.raises(SalesforceRefusedRequest):
        sf.query("SELECT Id FROM Account")
    assert server.session().post(f"https://{server.host}/_sandbox/expire").status_code == 200
    with pytest.raises(SalesforceExpiredSession):
        Salesforce(session_id=sf.session_id, instance=server.host, session=server.session()).query(
            "SELECT Id FROM Account"
        )
