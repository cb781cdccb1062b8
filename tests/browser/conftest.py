"""A real Chromium. Without one these tests skip, and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.demo import Demo

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = os.environ.get("TIEOUT_CHROMIUM") or shutil.which("chromium")
    if not executable:
        pytest.skip("no chromium on this machine: install Debian's chromium, or set TIEOUT_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: TIEOUT_PICTURES, or a temporary folder."""
    given = os.environ.get("TIEOUT_PICTURES")
    folder = Path(given) if given else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
