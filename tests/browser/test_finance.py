"""A controller's morning in a real browser, each person with their own role; no Airflow is needed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from sqlalchemy import Engine, text

from tests.support import pages
from tests.support.reconciliation import LINK, TODAY, Break, Morning, morning, reconcile
from tests.support.served import served
from tests.unit.reports import attacks
from tieout.model.calendar import CALENDAR_MONTHS
from tieout.store import periods

pytestmark = pytest.mark.slow

DAY = f"tie-outs/{LINK}/{TODAY}"
POISONED = tuple(
    Break(
        f"order:9{number:02}", 100 + number, "customer", "invoices", "EUR", "customer", numbers=(attack,),
        customer_id=f"x{number}", customer_name=attack, explanation=attack, fields=("name",),
        a={"records": [], "shown": {"name": attack}}, b={"records": [], "shown": {"name": "as it was"}},
    )
    for number, attack in enumerate(one for one in attacks.ALL if len(one) < 1000)
)  # fmt: skip


@pytest.fixture
def books(engine: Engine) -> Morning:
    return morning(engine, days=2)


@pytest.fixture
def url(books: Morning, engine: Engine, tmp_path: Path) -> Iterator[str]:
    with served(pages.app(engine, tmp_path)) as address:
        yield f"{address}/tieout"


@pytest.fixture
def tab_of(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a window for a person; whatever the browser's console complains of fails the test."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # Airflow serves the icon, which is not here.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            complaints.append(message.text)

    with ExitStack() as stack:

        def open_for(person: str, width: int = 1280, scheme: str = "light") -> Page:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme,  # type: ignore[arg-type]
                extra_http_headers=pages.as_(person), accept_downloads=True,
            )  # fmt: skip
            stack.callback(context.close)
            page = context.new_page()
            page.on("console", hear)
            return page

        yield open_for
    assert complaints == []


def test_a_controllers_morning(
    tab_of: Callable[..., Page], url: str, engine: Engine, books: Morning, pictures: Path
) -> None:
    tab = tab_of("petra")
    tab.goto(f"{url}/")
    expect(tab.locator(".chip.good").first).to_have_text("ties out")
    tab.screenshot(path=pictures / "overview.png", full_page=True)
    tab.get_by_role("link", name=LINK).click()
    expect(tab.locator(".verdict")).to_contain_text("Ties out")
    tab.screenshot(path=pictures / "tie_out.png", full_page=True)
    tab.get_by_role("link", name="the 4 new ones").click()
    expect(tab.locator("#breaks tbody tr")).to_have_count(4)
    tab.get_by_role("row").filter(has_text="INV-20419").get_by_role("link", name="amount").click()
    expect(tab.locator("tr.differs").filter(has_text="unit price")).to_contain_text("62.00")
    tab.screenshot(path=pictures / "break.png", full_page=True)
    tab.get_by_label("Owner").fill("sales")
    tab.get_by_role("button", name="Assign").click()
    expect(tab.get_by_role("status")).to_have_text("It has a new owner.")
    tab.goto(f"{url}/breaks?tolerance=within")
    tab.get_by_role("link", name="rounding").click()
    tab.get_by_label("Reason").select_option("rounding")
    tab.get_by_role("button", name="Accept").click()
    expect(tab.get_by_role("status")).to_have_text("It is accepted.")
    tab.goto(f"{url}/breaks")
    choice = tab.get_by_role("search")
    choice.get_by_label("Age in days").select_option("31-60")
    choice.get_by_role("textbox", name="Over").fill("50")
    choice.get_by_role("button", name="Filter").click()
    shown = tab.locator("#breaks tbody tr").count()
    assert 0 < shown < 10
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Excel").click()
    book = openpyxl.load_workbook(io.BytesIO(Path(download.value.path()).read_bytes()))
    rows = [row for sheet in book.worksheets[1:] for row in sheet.iter_rows() if isinstance(row[0].value, int)]
    assert len(rows) == shown


def test_preparer_and_reviewer_sign_and_a_late_payment_suspends(
    tab_of: Callable[..., Page], url: str, engine: Engine, books: Morning, pictures: Path
) -> None:
    for person, role in (("petra", "preparer"), ("rex", "reviewer")):
        tab = tab_of(person)
        tab.goto(f"{url}/{DAY}")
        tab.get_by_role("button", name=f"Sign as {role}").click()
        expect(tab.get_by_role("status")).to_have_text(f"Signed as {role}.")
    late = Break("payment:p-9", -7700, "unapplied_cash", "payments", "EUR", "presence", a_keys=(),
                 b_keys=("payment:p-9",), explanation="Payment p-9 of 77.00 is set against nothing.")  # fmt: skip
    reconcile(engine, TODAY, [*books.breaks, late])
    tab = tab_of("petra")
    tab.goto(f"{url}/{DAY}")
    expect(tab.get_by_text("preparer, suspended")).to_be_visible()
    expect(tab.locator("details[open]").first).to_contain_text("-77.00")
    tab.screenshot(path=pictures / "suspended.png", full_page=True)


@pytest.mark.parametrize(
    ("person", "signs", "decides"),
    [("vera", None, False), ("petra", "preparer", True), ("rex", None, True), ("oskar", None, False),
     ("dana", None, False)],
)  # fmt: skip
def test_each_role_sees_the_buttons_that_are_its_own(
    tab_of: Callable[..., Page], url: str, person: str, signs: str | None, decides: bool
) -> None:
    tab = tab_of(person)
    tab.goto(f"{url}/{DAY}")
    buttons = tab.get_by_role("button", name=re.compile("^Sign as"))
    expect(buttons).to_have_count(1 if signs else 0)
    tab.goto(f"{url}/breaks/10")
    expect(tab.get_by_role("button", name="Assign")).to_have_count(1 if decides else 0)


def test_many_are_assigned_by_keyboard_alone(tab_of: Callable[..., Page], url: str, engine: Engine) -> None:
    tab = tab_of("petra")
    tab.goto(f"{url}/breaks?class=tax")
    tab.keyboard.press("Tab")
    expect(tab.locator(":focus")).to_have_text("Skip to content")
    tab.get_by_label("Choose all that are shown").focus()
    tab.keyboard.press("Space")
    tab.get_by_label("Assign the chosen ones to").focus()
    tab.keyboard.type("tax desk")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("status")).to_contain_text("have a new owner")
    with engine.connect() as conn:
        owned = conn.execute(text("select distinct class from tieout.break where owner = 'tax desk'")).scalars().all()
    assert owned == ["tax"]


def test_nothing_from_a_crm_runs_on_a_page(
    tab_of: Callable[..., Page], url: str, engine: Engine, books: Morning, pictures: Path
) -> None:
    reconcile(engine, TODAY, [*books.breaks, *POISONED])
    tab = tab_of("petra")
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    with engine.connect() as conn:
        numbers = conn.execute(text("select break_id from tieout.break where class = 'customer'")).scalars().all()
    for path in ("breaks?class=customer", DAY, f"{DAY}/print", *(f"breaks/{number}" for number in numbers)):
        tab.goto(f"{url}/{path}")
        assert "owned" not in tab.title(), path
        assert tab.locator("main script, main iframe, main img, main style, main base, main meta").count() == 0, path
        assert (
            tab.evaluate("document.querySelectorAll('main svg [onload], main [onerror], main [onmouseover]').length")
            == 0
        )
    tab.goto(f"{url}/breaks?class=customer")
    tab.screenshot(path=pictures / "poisoned.png", full_page=True)
    assert [one for one in asked if not one.startswith(url.removesuffix("/tieout"))] == [], (
        "nothing is fetched elsewhere"
    )


def test_a_period_is_reopened_by_two(
    tab_of: Callable[..., Page], url: str, engine: Engine, books: Morning, pictures: Path
) -> None:
    with engine.begin() as conn:
        today = conn.execute(text("select current_date")).scalar_one()
        month = CALENDAR_MONTHS.before(CALENDAR_MONTHS.period_of(today))
        assert month is not None
        periods.begin_closing(conn, "demo", month, "petra", "the month is over")
        periods.close(conn, "demo", month.label, "rex", {"report": 7, "state": "tied"})
    petra = tab_of("petra")
    petra.goto(f"{url}/periods?link=demo")
    row = petra.locator("#periods tr").filter(has_text=month.label)
    expect(row).to_contain_text("closed")
    row.get_by_label("Reason").fill("an invoice was forgotten")
    row.get_by_role("button", name=f"Ask to reopen {month.label}").click()
    expect(petra.get_by_role("status")).to_contain_text("stays closed until another person agrees")
    expect(petra.get_by_role("button", name=f"Reopen {month.label}")).to_have_count(0)
    rex = tab_of("rex")
    rex.goto(f"{url}/periods?link=demo")
    row = rex.locator("#periods tr").filter(has_text=month.label)
    expect(row).to_contain_text("petra asks to reopen it: an invoice was forgotten")
    rex.screenshot(path=pictures / "period_reopening.png", full_page=True)
    rex.get_by_role("button", name=f"Reopen {month.label}", exact=True).click()
    expect(rex.get_by_role("status")).to_contain_text(f"{month.label} is open again.")
    rex.screenshot(path=pictures / "periods.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800])
def test_pages_fit_the_window_and_every_table_has_headings(
    tab_of: Callable[..., Page], url: str, pictures: Path, width: int, scheme: str
) -> None:
    tab = tab_of("petra", width, scheme)
    for path in ("", DAY, "breaks", "breaks/ages", "breaks/10", "matches", "health", "receivables",
                 "periods?link=demo", f"{DAY}/print"):  # fmt: skip
        tab.goto(f"{url}/{path}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
        assert tab.locator("table:not(:has(th))").count() == 0, path
        without = tab.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select')].filter("
            "field => !field.hidden && !field.labels.length && !field.ariaLabel).length"
        )
        assert without == 0, f"{path}: a field without a label"
        name = path.partition("?")[0].replace("/", "_") or "home"
        tab.screenshot(path=pictures / f"finance_{name}_{scheme}_{width}.png", full_page=True)
