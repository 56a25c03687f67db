"""What is served and loaded, on the page's server."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from app.machines import LoadingModel, MachineList, MachineStatus
from app.settings import Settings
from app.ui.client import ControllerClient
from app.ui.language import load_texts
from app.ui.screen import Models
from app.ui.served import serve_models
from app.ui.view import sees_html
from tests.app.ui.fake_controller import FakeController
from tests.servers import running


def test_models_and_machines_are_told_and_errors_in_the_pages_language(
    fake: FakeController, address: str
) -> None:
    loading = [LoadingModel(id="large", share=0.5)]
    told = MachineList(data=[MachineStatus(worker_id="w1", loading=loading)])

    async def machines() -> MachineList:
        return told

    fake.app.add_api_route("/api/machines", machines)
    page = FastAPI()
    serve_models(page, ControllerClient(Settings(controller_url=address)))
    with running(page) as url, httpx.Client(base_url=url, trust_env=False) as client:
        reply = client.get("/served")
        assert reply.headers["cache-control"] == "no-store"
        assert [model["id"] for model in reply.json()["models"]] == [m.id for m in fake.models]
        assert reply.json()["machines"] == told.model_dump(mode="json")["data"]
    gone = FastAPI()
    serve_models(gone, ControllerClient(Settings(controller_url="http://127.0.0.1:9")))
    with running(gone) as url, httpx.Client(base_url=url, trust_env=False) as client:
        reply = client.get("/zh/served")
        assert reply.status_code == 503 and "控制器" in reply.json()["error"]


def test_the_way_to_the_cards_is_there_with_and_without_a_model() -> None:
    texts = load_texts("en")
    for chosen, kind in (("a", '"sees"'), (None, '"sees none"')):
        html = sees_html(Models((), chosen, "Sees <b>."), texts)
        assert kind in html and "about-models" in html and "<b>" not in html
