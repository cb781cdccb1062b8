"""The demo as `make demo` brings it up, for the tests of this folder; and a browser in front of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.demo import DEMO_LIMIT, ROOT, Demo, demo_command, end, new_home


@pytest.fixture(scope="package")
def demo() -> Iterator[Demo]:
    """The demo after `make demo`: first run, a day of finance and sales, second run."""
    home = new_home()
    try:
        command, environment = demo_command(home, "up")
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEMO_LIMIT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        yield Demo(home, done.stdout + done.stderr, done.returncode)
    finally:
        end(home)


@pytest.fixture(scope="package")
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """Logged in to the demo's Airflow as the admin."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{demo.url}/tieout/dead-letters")
    page.get_by_role("link", name="Log in").click()
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", demo.password)
    page.click("input[type=submit], button[type=submit]")
    page.wait_for_url("**/tieout/dead-letters")
    yield page
    context.close()
