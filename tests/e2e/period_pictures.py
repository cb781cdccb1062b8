"""The pictures of docs/backfill.md: what an operator sees of a backfill, a plan that waits, and the question."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.support.browser import ARGUMENTS

SIZE = {"width": 1200, "height": 760}


def take(url: str, password: str, dag_id: str, run_id: str, plan: int, folder: Path) -> list[str]:
    """Takes the four pictures in a Chromium of this machine; none where there is none. Their names.

    Args:
        run_id: a run of the DAG whose task `approve` waits for an answer on `plan`.
    """
    executable = os.environ.get("TIEOUT_CHROMIUM") or shutil.which("chromium")
    if not executable:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        page = browser.new_context(viewport=SIZE, color_scheme="light").new_page()  # type: ignore[arg-type]
        page.set_default_timeout(60_000)
        page.goto(f"{url}/tieout/plan?plan={plan}")
        page.get_by_role("link", name="Log in").click()
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", password)
        page.click("input[type=submit], button[type=submit]")
        page.wait_for_url(f"**/tieout/plan?plan={plan}")
        page.get_by_role("heading", name="Sums").wait_for()
        made = [_picture(page, folder, "backfill-plan")]
        page.goto(f"{url}/dags/{dag_id}/runs/{run_id}/tasks/approve/required_actions")
        page.get_by_role("button", name="Approve").wait_for()
        page.wait_for_timeout(1500)
        made.append(_picture(page, folder, "backfill-approve"))
        page.goto(f"{url}/dags/{dag_id}/runs")
        page.get_by_text("backfill__").first.wait_for()
        page.wait_for_timeout(1500)
        made.append(_picture(page, folder, "backfill-runs"))
        page.goto(f"{url}/dags/{dag_id}")
        page.get_by_role("button", name="Trigger", exact=False).first.click()
        dialog = page.get_by_role("dialog")
        # The card listens once the dialog has what it shows of the DAG.
        dialog.get_by_text("Logical Date").first.wait_for()
        dialog.get_by_text("Run this Dag for a range of dates").click()
        dialog.get_by_text("Reprocess Behavior").wait_for()
        page.wait_for_timeout(1500)
        made.append(_picture(page, folder, "backfill-dialog"))
        browser.close()
    return made


def _picture(page: Page, folder: Path, name: str) -> str:
    page.screenshot(path=folder / f"{name}.png")
    return f"{name}.png"
