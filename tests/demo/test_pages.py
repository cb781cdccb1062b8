"""What a person does with the pages and forms, in a real browser on the demo."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.demo import Demo

pytestmark = pytest.mark.slow


def test_the_menu_leads_to_the_run_and_its_account(page: Page, demo: Demo, pictures: Path) -> None:
    page.goto(demo.url)
    page.get_by_role("link", name="Tieout").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Tie-out", exact=True)).to_be_visible()
    page.screenshot(path=pictures / "menu.png")
    frame.get_by_role("link", name="Runs", exact=True).first.click()
    expect(frame.get_by_role("heading", name="Links and runs")).to_be_visible()
    frame.locator("tbody a").first.click()
    expect(frame.locator("#closing")).to_contain_text("documents")
    expect(frame.locator("#closing .bad")).to_have_count(0)
    page.screenshot(path=pictures / "run.png")


def test_a_run_of_airflow_leads_to_its_sync_run(page: Page, demo: Demo, pictures: Path) -> None:
    with demo.api() as api:
        run_id = api.run_ids("quote_to_cash__demo")[0]
    page.goto(f"{demo.url}/dags/quote_to_cash__demo/runs/{run_id}")
    page.get_by_role("link", name="Tieout").last.click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Quote to cash of demo")
    page.screenshot(path=pictures / "run_link.png")


def test_tables_sort_by_their_headings_without_any_console_error(page: Page, demo: Demo, pictures: Path) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{demo.url}/tieout/dead-letters")
    numbers = page.locator("tbody tr td:nth-child(2)")
    before = [int(text) for text in numbers.all_inner_texts()]
    heading = page.get_by_role("button", name="Number")
    heading.click()
    heading.click()
    assert [int(text) for text in numbers.all_inner_texts()] == sorted(before, reverse=True)
    expect(page.locator("th[aria-sort=descending]")).to_have_count(1)
    page.screenshot(path=pictures / "dead_letters.png")
    assert errors == []


def test_a_dead_letter_can_be_read_and_replayed(page: Page, demo: Demo, pictures: Path) -> None:
    page.goto(f"{demo.url}/tieout/dead-letters")
    page.locator("tbody tr td:nth-child(2) a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("open")
    page.screenshot(path=pictures / "dead_letter.png")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status")).to_contain_text("1 dead letters will be judged again")


def test_an_invoice_number_leads_from_the_order_to_the_ledger(page: Page, demo: Demo, pictures: Path) -> None:
    from sqlalchemy import text

    from tieout.store.engine import connect

    engine = connect(demo.database_url)
    with engine.connect() as conn:
        number = conn.execute(
            text("select min(vendor_number) from tieout.crosswalk where entity = 'invoice'")
        ).scalar_one()
    engine.dispose()
    page.goto(f"{demo.url}/tieout/trace")
    page.get_by_label("Any id or number").fill(number)
    page.get_by_role("button", name="Trace").click()
    steps = page.locator("#steps tbody")
    for word in ("judgement", "intent", "attempt", "link"):
        expect(steps).to_contain_text(word)
    page.screenshot(path=pictures / "trace.png")


def test_dark_mode_is_dark(browser: Browser, page: Page, demo: Demo, pictures: Path) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{demo.url}/tieout/mappings")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in re.findall(r"\d+", colour)[:3]) < 150
    page.screenshot(path=pictures / "mappings_dark.png")
    page.emulate_media(color_scheme="light")


@pytest.mark.parametrize(("name", "label"), [("Salesforce (Tieout)", "Sign-in"), ("Xero (Tieout)", "Tenant id")])
def test_a_connection_form_is_shown_for_both_types(
    page: Page, demo: Demo, pictures: Path, name: str, label: str
) -> None:
    page.goto(f"{demo.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    kind = name.split()[0].lower()
    form.get_by_role("combobox").first.click()
    page.keyboard.type(f"tieout_{kind}")
    page.keyboard.press("Enter")
    expect(form.get_by_text("Client id").first).to_be_visible()
    extra = form.get_by_role("button", name=re.compile("Extra Fields"))
    if extra.count() and extra.first.get_attribute("aria-expanded") != "true":
        extra.first.click()
    expect(form.get_by_text(label).first).to_be_visible()
    page.screenshot(path=pictures / f"form_{kind}.png")


def test_the_test_button_finds_the_sandbox_in_order(page: Page, demo: Demo, pictures: Path) -> None:
    page.goto(f"{demo.url}/connections")
    for connection in ("salesforce_demo", "xero_demo"):
        answer = _press_test(page, connection)
        assert answer["status"] is True, answer["message"]
    page.screenshot(path=pictures / "test_button.png")


def test_a_connection_made_by_its_form_can_be_tested_and_says_what_is_wrong(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill("xero_mine")
    form.get_by_role("combobox").first.click()
    page.keyboard.type("tieout_xero")
    page.keyboard.press("Enter")
    form.locator("input[name=host]").fill(f"{demo.sandbox_url}/xero")
    form.locator("input[name=login]").fill("sandbox-client")
    form.locator("input[name=password]").fill("not the secret")
    form.get_by_role("button", name="Save").click()
    answer = _press_test(page, "xero_mine")
    assert answer["status"] is False
    assert "refuses the credentials" in answer["message"] and "not the secret" not in answer["message"]


def _press_test(page: Page, connection: str) -> dict[str, Any]:
    row = page.get_by_role("row").filter(has_text=connection)
    with page.expect_response("**/api/v2/connections/test") as answer:
        row.locator("button").first.click()
    value: dict[str, Any] = answer.value.json()
    # Its tooltip would lie over the next row's button; on a busy machine one move of the mouse can go unnoticed.
    for place in range(10):
        page.mouse.move(place % 2, 0)
        if page.get_by_role("tooltip").count() == 0:
            break
        page.wait_for_timeout(500)
    expect(page.get_by_role("tooltip")).to_have_count(0, timeout=20_000)
    return value


def test_limits_are_sorted_by_the_keyboard_and_a_bad_file_says_which_line(
    page: Page, demo: Demo, pictures: Path
) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{demo.url}/tieout/credit?show=limit")
    page.locator("#customers").get_by_role("button", name="Limit").focus()
    page.keyboard.press("Enter")
    cells = page.locator("#customers tbody td:nth-child(3)")
    limits = [int(value) for value in cells.evaluate_all("cells => cells.map(cell => cell.dataset.value)")]
    assert len(limits) > 50 and limits == sorted(limits)
    page.screenshot(path=pictures / "credit.png")
    lines = "customer,currency,limit,valid_from,shares_with\nC-0041,GBP,10.00,2026-01-01,\nNobody,GBP,1,2026-01-01,\n"
    file = {"name": "limits.csv", "mimeType": "text/csv", "buffer": lines.encode()}
    page.set_input_files("input[type=file]", files=[file])  # type: ignore[list-item]
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be taken")
    expect(page.locator("tbody")).to_contain_text("unknown customer")
    page.screenshot(path=pictures / "credit_file.png")
    assert [text for text in errors if "422" not in text] == []
