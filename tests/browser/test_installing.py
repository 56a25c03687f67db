"""Chromium finds nothing that keeps it from installing the page."""

from __future__ import annotations

from tests.browser.chat import Chat


def test_the_page_can_be_installed(chat: Chat) -> None:
    devtools = chat.page.context.new_cdp_session(chat.page)
    manifest = devtools.send("Page.getAppManifest")
    assert not manifest["errors"] and "LLaVA Studio" in manifest["data"]
    told = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A browser of a test keeps nothing, as a private window, and no private window installs.
    assert {each["errorId"] for each in told} <= {"in-incognito"}, told
