"""What axe-core, Deque's checker of accessibility, finds on a page."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

RUN = """
async (rules) => {
  const options = { resultTypes: ["violations"], ...(rules && { runOnly: rules }) };
  const { violations } = await axe.run(document, options);
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").flatMap(
    ({ id, impact, nodes }) => nodes.map(({ target, failureSummary }) =>
      `${impact} ${id} at ${target.join(" ")}: ${failureSummary}`));
}
"""


def faults(page: Page, *rules: str) -> list[str]:
    """Serious and critical issues, of all rules or of those that are named."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(RUN, list(rules) or None)
    return found


def faults_in_both_schemes(page: Page) -> list[str]:
    """The same, light and then, as only colours differ, the contrast in dark; leaves it light."""
    found = faults(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.body.classList.contains('dark') || !window.gradio_config")
    found += faults(page, "color-contrast")
    page.emulate_media(color_scheme="light")
    page.wait_for_function("!document.body.classList.contains('dark')")
    return found
