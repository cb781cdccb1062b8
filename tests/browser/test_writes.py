"""The page of unsettled writes in a real browser, over a store with a bad morning in it; no Airflow is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support.delivery import intent, plan, rows, run, run_until_settled
from tests.support.ledger import MemoryLedger, VirtualClock
from tieout.web.app import Visitor, create_app
from tieout.web.sources import Sources

pytestmark = pytest.mark.slow

OWNERS = ("Finance EMEA", "ann.smith@example.com", "Credit control")


@pytest.fixture
def morning(engine: Engine) -> Engine:
    """Numbers that people took, refusals, lost answers: thirty writes, hours and days old."""
    ledger = MemoryLedger(VirtualClock())
    taken = [intent(f"000{n:04}", amount_minor=123456 * n, owner=OWNERS[n % 3]) for n in range(1, 13)]
    for each in taken:
        ledger.make(each.natural_key, b'{"number": "%s", "amount": 777}' % each.natural_key.encode())
    refused = [
        intent(f"000{n:04}", body={"refuse": reason}, amount_minor=98700 + n, currency=currency, owner=OWNERS[n % 3])
        for n, reason, currency in (
            (21, "period_locked", "EUR"), (22, "validation", "GBP"), (23, "validation", "JPY"),
            (24, "period_locked", "EUR"),
        )
    ]  # fmt: skip
    plan(engine, [*taken, *refused], ledger.clock)
    run_until_settled(engine, ledger)
    ledger.faults = iter(["lost_answer"] * 8)
    plan(
        engine, [intent(f"000{n:04}", amount_minor=45000 + n, owner=OWNERS[n % 3]) for n in range(31, 39)], ledger.clock
    )
    run(engine, ledger)
    plan(engine, [intent(f"000{n:04}") for n in range(41, 47)], ledger.clock)
    with engine.begin() as conn:
        conn.exec_driver_sql(
            "update tieout.intent set updated_at = clock_timestamp() - intent_id * interval '5 hours 17 minutes', "
            "sent_at = case when state = 'UNKNOWN' then clock_timestamp() - intent_id * interval '90 seconds' else "
            "sent_at end, not_before = case when state = 'UNKNOWN' then clock_timestamp() + interval '4 minutes' end"
        )
    return engine


@pytest.fixture
def url(morning: Engine, tmp_path: Path) -> Iterator[str]:
    """The pages on a free port; everybody is oskar, who may decide."""
    sources = Sources(open_engine=lambda: morning, matrix=lambda crm, ledger: [], docs_home=tmp_path, page_size=100)
    pages = create_app(
        lambda method: lambda: Visitor("oskar", True), sources, b"a secret of the test", lambda asked: "/login"
    )
    config = uvicorn.Config(Starlette(routes=[Mount("/tieout", pages)]), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive() and time.monotonic() < end, "the pages did not come up"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/tieout"
    server.should_exit = True
    thread.join()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A window of its own; whatever the browser's console complains of fails the test."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, color_scheme="light")
    page = context.new_page()
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # Airflow serves the icon, which is not here.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            complaints.append(message.text)

    page.on("console", hear)
    yield page
    context.close()
    assert complaints == []


def test_what_waits_is_read_sorted_and_filtered(tab: Page, url: str, pictures: Path) -> None:
    tab.goto(f"{url}/runs")
    tab.get_by_role("link", name="12 held").click()
    expect(tab.locator("#writes tbody tr")).to_have_count(12)
    tab.goto(f"{url}/writes")
    expect(tab.locator("#writes caption")).to_contain_text("24 writes")
    expect(tab.locator("#ages")).to_contain_text("d ")
    tab.screenshot(path=pictures / "writes.png", full_page=True)
    heading = tab.locator("#writes").get_by_role("button", name="Amount")
    heading.click()
    heading.click()
    first = tab.locator("#writes tbody tr").first
    expect(first).to_contain_text("14,814.72 EUR")
    choice = tab.get_by_role("search")
    choice.get_by_label("Owner").select_option("Credit control")
    choice.get_by_label("State").select_option("UNKNOWN")
    choice.get_by_role("button", name="Filter").click()
    rows_shown = tab.locator("#writes tbody tr")
    assert 0 < rows_shown.count() < 8
    for row in rows_shown.all():
        expect(row).to_contain_text("Credit control")
    tab.screenshot(path=pictures / "writes_filtered.png", full_page=True)


def test_a_decision_is_made_by_keyboard_alone(tab: Page, url: str, morning: Engine, pictures: Path) -> None:
    tab.goto(f"{url}/writes?state=HELD")
    button = tab.get_by_role("button", name="Look up again: INV-0000001")
    button.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("status")).to_contain_text("INV-0000001 is looked up by the next delivery.")
    expect(tab.locator("#writes tbody tr")).to_have_count(11)
    tab.locator("#writes tbody tr").first.get_by_text("More").focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    tab.keyboard.type("billed by hand in the old system")
    tab.screenshot(path=pictures / "writes_more.png")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("status")).to_contain_text("is cancelled")
    notes = rows(
        morning, "select detail ->> 'note' as note, actor from tieout.audit_event where actor like 'person:%%'"
    )
    assert {(each["actor"], each["note"]) for each in notes} == {
        ("person:oskar", None), ("person:oskar", "billed by hand in the old system"),
    }  # fmt: skip


def test_one_write_is_read_and_the_found_document_accepted(tab: Page, url: str, pictures: Path) -> None:
    tab.goto(f"{url}/writes?text=INV-0000003")
    tab.get_by_role("link", name="INV-0000003").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("HELD")
    tab.screenshot(path=pictures / "write.png", full_page=True)
    tab.get_by_role("button", name="Accept: INV-0000003").click()
    expect(tab.get_by_role("status")).to_contain_text("counts as posted")


def test_on_a_narrow_screen_every_decision_is_in_reach(tab: Page, url: str, pictures: Path) -> None:
    tab.set_viewport_size({"width": 390, "height": 800})
    for path, name in (("writes", "writes_narrow"), ("writes/1", "write_narrow")):
        tab.goto(f"{url}/{path}")
        tab.screenshot(path=pictures / f"{name}.png", full_page=True)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390, path
        for button in tab.locator("button.act:visible").all():
            box = button.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390, path
