"""The page behind a link, in front of a real controller; no browser."""

from __future__ import annotations

import pytest

from app.protocol import PERSON_HEADER
from tests.app.ui.test_history import ME, Site, site

__all__ = ["site"]


def test_a_shared_page_needs_no_name_and_tells_no_more_than_was_shared(site: Site) -> None:
    page = site.page
    name = site.talk("</script>{{title}} <b>x</b>")
    link = page.post(f"/conversations/{name}/shares", headers=ME).json()
    shown = page.get(f"/shared/{link['token']}", headers={"accept": "text/html"})
    assert shown.status_code == 200 and shown.headers["cache-control"] == "no-store"
    assert "noindex" in shown.headers["x-robots-tag"]
    assert "<b>x</b>" not in shown.text and "</script>{{title}}" not in shown.text
    assert ME[PERSON_HEADER] not in shown.text
    start = shown.text.index(f"shared/{link['token']}/pictures/")
    address = shown.text[start:].partition('"')[0]
    assert page.get(f"/{address}").headers["content-type"].startswith("image/")
    other = address.replace(link["token"], "unknown")
    assert page.get(f"/{other}").status_code == 404
    gone = page.delete(f"/conversations/{name}/shares/{link['token']}", headers=ME)
    assert gone.status_code == 204
    assert page.get(f"/{address}").status_code == 404


@pytest.mark.parametrize(
    ("language", "words"), [("en", "This link leads nowhere"), ("zh", "链接无效")]
)
def test_a_link_that_leads_nowhere_says_so(site: Site, language: str, words: str) -> None:
    for token in ("unknown", "%22%3E%3Cb%3E"):
        reply = site.page.get(f"/shared/{token}", headers={"accept-language": language})
        assert reply.status_code == 404 and words in reply.text, token
