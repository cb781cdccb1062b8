"""The client: what is repeated, what never is, what is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import structlog

from tests.connectors.wires import Time, Wire, answer, connection
from tieout.connectors import exact_json
from tieout.connectors.http import Call, HttpClient, NotSent, Unanswered, http_fault
from tieout.connectors.wire import Limits, allowed_hosts, check_url, is_allowed, number_from
from tieout.model import logs
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, RateLimited, Retriable, VendorFault

HOST = "https://api.example.com"


def client(wire: Wire, time: Time, **limits: Any) -> HttpClient:
    return HttpClient(
        "books",
        ("api.example.com",),
        lambda reply: http_fault("books", reply, time.clock),
        transport=wire.transport,
        clock=time.clock,
        limits=Limits(**limits),
    )


def get(http: HttpClient) -> object:
    return http.read(lambda: http.once(Call("GET", f"{HOST}/things")))[1]


def test_numbers_come_back_exactly() -> None:
    wire = Wire(("GET", "/", httpx.Response(200, content=b'{"a": 0.1, "b": 12345678901234.5678, "c": 1e2, "d": 7}')))
    found = get(client(wire, Time()))
    assert found == {"a": Decimal("0.1"), "b": Decimal("12345678901234.5678"), "c": Decimal("1e2"), "d": 7}
    assert all(not isinstance(value, float) for value in found.values())


@pytest.mark.parametrize("text", [b"[NaN]", b"[Infinity]", b"{", b"<html>", b"[" * 200_000, b"\xff"])
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        exact_json.loads(text)


def test_exact_json_goes_both_ways() -> None:
    value = {"é": [Decimal("10.00"), Decimal("-0.000000000000000001"), 3, True, None, 'a"\n\\']}
    text = exact_json.dumps(value)
    assert b"10.00,-0.000000000000000001,3,true,null" in text
    assert exact_json.loads(text) == value
    with pytest.raises(TypeError):
        exact_json.dumps([1.5])
    with pytest.raises(ValueError):
        exact_json.dumps(Decimal("NaN"))


def test_reads_are_repeated_with_growing_pauses() -> None:
    wire = Wire(("GET", "/", [answer({}, 503), httpx.ReadTimeout("slow"), answer({"ok": 1})]))
    time = Time()
    http = client(wire, time)
    assert get(http) == {"ok": 1}
    assert time.naps == [0.375, 0.75]
    assert (http.counters.calls, http.counters.retries, http.counters.waited) == (3, 2, 1.125)


def test_reads_end_as_retriable() -> None:
    wire = Wire(("GET", "/", answer({}, 500)))
    with pytest.raises(Retriable, match="HTTP 500"):
        get(client(wire, Time(), attempts=3))
    assert len(wire.asked) == 3


def test_a_cut_or_foreign_body_is_read_again() -> None:
    wire = Wire(("GET", "/", [httpx.Response(200, content=b'{"a": [1, 2'), answer({"a": 1})]))
    assert get(client(wire, Time())) == {"a": 1}


def test_a_short_wait_is_slept_and_a_long_one_is_handed_up() -> None:
    wire = Wire(("GET", "/", [answer({}, 429, {"Retry-After": "7"}), answer({"ok": 1})]))
    time = Time()
    assert get(client(wire, time)) == {"ok": 1}
    assert time.naps == [7.0]
    wire = Wire(("GET", "/", answer({}, 429, {"Retry-After": "3600"})))
    with pytest.raises(RateLimited) as caught:
        get(client(wire, Time()))
    assert caught.value.retry_after == 3600
    assert len(wire.asked) == 1


def test_retry_after_may_be_a_date() -> None:
    wire = Wire(("GET", "/", [answer({}, 429, {"Retry-After": "Wed, 01 May 2024 12:00:30 GMT"}), answer({"ok": 1})]))
    time = Time()
    get(client(wire, time))
    assert time.naps == [30.0]


def test_redirects_are_not_followed() -> None:
    wire = Wire(("GET", "/", answer({}, 302, {"Location": "https://evil.example.org/"})))
    with pytest.raises(VendorFault, match="302"):
        get(client(wire, Time()))
    assert len(wire.asked) == 1


def test_other_hosts_get_nothing() -> None:
    wire = Wire()
    http = client(wire, Time())
    with pytest.raises(AuthenticationFailed, match=r"evil\.example\.org"):
        http.once(Call("GET", "https://evil.example.org/"), "Bearer x")
    assert wire.asked == []


def test_a_refused_connection_is_known_as_not_sent_and_a_lost_answer_is_not() -> None:
    wire = Wire(("PUT", "/", [httpx.ConnectError("no"), httpx.ReadError("reset"), httpx.RemoteProtocolError("cut")]))
    http = client(wire, Time())
    with pytest.raises(NotSent):
        http.once(Call("PUT", f"{HOST}/x", body=b"{}"))
    for _ in range(2):
        with pytest.raises(Unanswered):
            http.once(Call("PUT", f"{HOST}/x", body=b"{}"))
    assert len(wire.asked) == 3


def test_an_answer_without_end_is_given_up() -> None:
    wire = Wire(("GET", "/", httpx.Response(200, content=b"x" * 2000)))
    with pytest.raises(Unanswered, match="more than 1000 bytes"):
        client(wire, Time(), most_bytes=1000).once(Call("GET", f"{HOST}/"))


@pytest.fixture
def talkative() -> Iterator[None]:
    """Our log at its most verbose, as when somebody looks for a fault."""
    logs.configure("debug")
    yield
    logs.configure()


@pytest.mark.usefixtures("talkative")
def test_logs_have_no_query_body_or_token() -> None:
    wire = Wire(("GET", "/", answer({"name": "Jane Roe"})))
    with structlog.testing.capture_logs() as lines:
        client(wire, Time()).once(Call("GET", f"{HOST}/q", {"where": 'Name=="Jane Roe"'}), "Bearer tok-1")
    assert [line["path"] for line in lines] == ["/q"]
    assert "Jane" not in str(lines) and "tok-1" not in str(lines)


@pytest.mark.parametrize(
    "url", ["http://api.example.com", "ftp://a.b", "https://u:p@a.b", "https://", "https://a.b/?q=1", "a.b"]
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationFault):
        check_url(url, "c")


@pytest.mark.parametrize("url", ["https://a.b", "http://127.0.0.1:8080/x/", "http://localhost:1", "http://[::1]:80"])
def test_addresses_that_are_taken(url: str) -> None:
    assert check_url(url, "c") == url.rstrip("/")


def test_allowed_hosts_from_the_form_replace_the_defaults() -> None:
    plain = connection("salesforce", "https://my.example.com")
    assert allowed_hosts(plain, ("*.salesforce.com",)) == ("my.example.com", "*.salesforce.com")
    named = connection("salesforce", "https://my.example.com", allowed_hosts="a.com, B.com")
    assert allowed_hosts(named, ("*.salesforce.com",)) == ("my.example.com", "a.com", "b.com")
    assert is_allowed("x.my.salesforce.com", ("*.salesforce.com",))
    assert not is_allowed("salesforce.com.evil.org", ("*.salesforce.com",))
    assert not is_allowed("evilsalesforce.com", ("*.salesforce.com",))
    assert not is_allowed("anything.org", ("*", ""))


def test_numbers_of_the_form_are_checked() -> None:
    assert number_from(connection("xero", HOST, time_out="5"), "time_out", 60, 2, 300) == 5
    for wrong in ("soon", "nan", "1", "1e9"):
        with pytest.raises(ConfigurationFault, match="time_out"):
            number_from(connection("xero", HOST, time_out=wrong), "time_out", 60, 2, 300)


def test_a_write_has_surely_ended_after_its_longest_time() -> None:
    limits = Limits.for_connection(connection("xero", HOST, time_out=20))
    assert limits.longest_write == limits.start_within + 20
    # Signing in gets no longer than an answer does, and never longer than where nothing is said.
    quick = Limits.for_connection(connection("xero", HOST, time_out=2))
    assert (quick.start_within, quick.longest_write) == (1, 3)
    assert Limits.for_connection(connection("xero", HOST)).longest_write == Limits().longest_write == 70
