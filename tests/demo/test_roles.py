"""Each role logs in to a real Airflow: the auth manager, not the page, decides what it may do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.demo import Demo
from tests.support.reconciliation import DUPLICATE, EDITED, TODAY, reconcile
from tieout.orchestration import roles
from tieout.reconcile.report_store import Report
from tieout.store.engine import connect

pytestmark = pytest.mark.slow

LINK = "zz_roles"  # a link of this test alone: it has reports, and no runs
DAY = f"/tieout/tie-outs/{LINK}/{TODAY}"
LOG_IN_TRIES = 3
PASSWORD = "a password of the test"
PEOPLE = {
    "vera": roles.FINANCE_VIEWER, "petra": roles.PREPARER, "rex": roles.REVIEWER, "oskar": roles.OPERATOR,
    "dana": roles.DATA_ENGINEER,
}  # fmt: skip


@pytest.fixture(scope="module")
def report(demo: Demo) -> Report:
    """The people are in Airflow, and a day is reconciled."""
    with httpx.Client(base_url=demo.url, trust_env=False, timeout=30) as api:
        token = api.post("/auth/token", json={"username": "admin", "password": demo.password}).json()["access_token"]
        for person, role in PEOPLE.items():
            made = api.post(
                "/auth/fab/v1/users", headers={"Authorization": f"Bearer {token}"},
                json={"username": person, "password": PASSWORD, "first_name": person, "last_name": "of the test",
                      "email": f"{person}@example.com", "roles": [{"name": "Viewer"}, {"name": role}]},
            )  # fmt: skip
            assert made.status_code in (200, 201), made.text
    engine = connect(demo.database_url)
    made_report = reconcile(engine, TODAY, [DUPLICATE, EDITED], link=LINK)
    engine.dispose()
    return made_report


@pytest.fixture(scope="module")
def log_in(browser: Browser, demo: Demo, report: Report) -> Iterator[Callable[[str], Page]]:
    """Person -> a window in which they are logged in, on the day's tie-out; each logs in once."""
    windows: dict[str, Page] = {}

    def page_of(person: str) -> Page:
        page = windows.get(person)
        if page is None:
            page = windows[person] = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.set_default_timeout(60_000)
            page.goto(f"{demo.url}{DAY}")
            expect(page.get_by_role("heading", level=1)).to_have_text("Please log in")
            page.get_by_role("link", name="Log in").click()
            _submit(page, person)
        page.goto(f"{demo.url}{DAY}")
        return page

    yield page_of
    for page in windows.values():
        page.context.close()


def _submit(page: Page, person: str) -> None:
    """Fills the form in. Airflow takes five log-ins in 40 seconds: the next one waits and comes back."""
    for _ in range(LOG_IN_TRIES):
        page.fill("input[name=username]", person)
        page.fill("input[name=password]", PASSWORD)
        with page.expect_response(lambda answer: answer.request.method == "POST" and "/login" in answer.url) as sent:
            page.click("input[type=submit], button[type=submit]")
        if sent.value.status != httpx.codes.TOO_MANY_REQUESTS:
            page.wait_for_url(f"**{DAY}")
            return
        page.wait_for_timeout(41_000)
        page.go_back()
    raise AssertionError(f"{person} was not let in after {LOG_IN_TRIES} tries")


def test_preparer_and_reviewer_sign_as_themselves(log_in: Callable[[str], Page], report: Report) -> None:
    for person, role in (("petra", "preparer"), ("rex", "reviewer")):
        page = log_in(person)
        page.get_by_role("button", name=f"Sign as {role}").click()
        expect(page.get_by_role("status")).to_have_text(f"Signed as {role}.")
    expect(page.locator("section").filter(has_text="Sign-off")).to_contain_text("petra")


@pytest.mark.parametrize(
    ("person", "decides", "replays"),
    [("vera", False, False), ("petra", True, False), ("rex", True, False), ("oskar", False, True),
     ("dana", False, True)],
)  # fmt: skip
def test_a_role_may_do_what_it_is_for_and_no_more(
    demo: Demo, log_in: Callable[[str], Page], report: Report, person: str, decides: bool, replays: bool
) -> None:
    page = log_in(person)
    page.goto(f"{demo.url}/tieout/breaks?link={LINK}")
    expect(page.get_by_role("button", name="Assign")).to_have_count(1 if decides else 0)
    number = re.search(r"/breaks/(\d+)", page.locator("#breaks tbody a").first.get_attribute("href") or "")
    assert number is not None
    # Past the pages, by hand: a form without the right is refused before its token is looked at.
    answers = {
        path: page.request.post(f"{demo.url}/tieout/{path}", form={"csrf": "x", "report": "1", "seen": "x", "note": "n",
                                                                   "verdict": "refuse", "letter_id": "1"})
        for path in (f"breaks/{number[1]}/note", "dead-letters/replay", f"tie-outs/{LINK}/{TODAY}/sign/preparer",
                     f"tie-outs/{LINK}/{TODAY}/sign/reviewer", "proposals/1/decide")
    }  # fmt: skip
    refused = {
        path.rpartition("/")[2] for path, answer in answers.items() if "Your role does not allow" in answer.text()
    }
    assert all(answer.status == 403 for answer in answers.values()), "nothing goes through with a wrong token"
    allowed = {"note", "replay", "preparer", "reviewer", "decide"} - refused
    assert allowed == {
        "vera": set(), "petra": {"note", "preparer", "decide"}, "rex": {"note", "reviewer", "decide"},
        "oskar": {"replay", "decide"}, "dana": {"replay"},
    }[person]  # fmt: skip
    assert ("replay" in allowed) == replays
