"""The models: their cards, what fits the machine, and how far loading has come."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from app.machines import Fit, LoadingModel, Machine, ModelCard
from app.protocol import ModelInfo, WorkerStatus
from tests.browser.axe import faults
from tests.browser.conftest import Studio, Visitors

COMMAND = "python app.py --model a/seven --precision 8bit"
PHONE = {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}


def tell(studio: Studio, *models: ModelInfo, loading: tuple[LoadingModel, ...] = ()) -> None:
    """What the worker's process would tell the controller."""
    fits = [
        Fit(source="a/seven", parameters=71 * 10**8, precision="8bit", needed=9, command=COMMAND),
        Fit(source="a/large", parameters=34_800_000_000, needed=28_000_000_000),
    ]
    status = WorkerStatus(
        worker_id="w1",
        url=studio.settings.worker_address,
        models=list(models),
        machine=Machine(device="CPU (test)", free=20_000_000_000, fits=fits),
        loading=list(loading),
    )
    address = f"{studio.settings.controller_address}/internal/workers"
    reply = httpx.post(address, json=status.model_dump(), trust_env=False, timeout=60)
    assert reply.is_success, reply.text


def test_the_page_shows_what_is_loading_and_then_the_models_card(
    studio: Studio, visitors: Visitors
) -> None:
    tell(studio, loading=(LoadingModel(id="scripted", share=0.427),))
    chat = visitors.open(studio.url, **PHONE)
    bar = chat.page.get_by_role("progressbar", name="Loading scripted: 42% of its weights")
    expect(bar).to_have_attribute("value", "0.427")
    chat.screenshot("models-loading")

    card = ModelCard(license="mit", trained_on="Ten drawings.", limits="It knows <b>two</b>.")
    info = studio.backend.info.model_copy(
        update={"card": card, "parameters": 4_300_000, "memory_bytes": 17_200_000, "device": "CPU"}
    )
    tell(studio, info, studio.other.info)
    expect(bar).to_have_count(0)
    opener = chat.page.get_by_role("button", name="About the models")
    opener.click()
    dialog = chat.page.get_by_role("dialog", name="The models")
    first = dialog.get_by_role("article").first
    for words in ("4.3 million parameters", "17 MB on CPU", "Ten drawings.", card.limits):
        expect(first).to_contain_text(words)
    expect(dialog.get_by_role("article").nth(1)).to_contain_text("does not say what it was trained")
    expect(dialog.get_by_text(COMMAND)).to_be_visible()
    expect(dialog).to_contain_text("too large here: 28 GB")
    chat.screenshot("models-phone-dark")
    assert faults(chat.page) == []
    chat.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
