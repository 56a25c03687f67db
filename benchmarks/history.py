"""How long the list of conversations takes: pages, the last page, searches, thumbnails.

``python benchmarks/history.py --conversations 500`` fills a new SQLite database with conversations
of three turns, each with a picture of its own, asks the controller over HTTP on loopback, then
the page's server as its list does, and prints the median and the slowest of the repetitions in
milliseconds. The aim is a list of 500 conversations with pictures in under 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

WORDS = ("red", "blue", "green", "star", "heart", "house", "tree", "car", "sun", "cat", "fish")


def fill(store: object, settings: object, number: int) -> None:
    """Conversations of three turns; each begins with a picture that no other has."""
    from app.db.records import AnswerSource, NewTurn, Outcome
    from app.db.store import Store
    from app.pictures import picture_from_data_url
    from app.protocol import ModelInfo
    from tests.pictures import as_data_url, png

    assert isinstance(store, Store)
    source = AnswerSource(ModelInfo(id="benchmark"))
    chance = random.Random(0)
    for index in range(number):
        colour = f"#{index:06x}"
        picture = picture_from_data_url(as_data_url(png(colour, (320, 240))), settings)  # type: ignore[arg-type]
        conversation = parent = None
        for turn in range(3):
            words = " ".join(chance.choices(WORDS, k=12))
            pictures = (picture,) if turn == 0 else ()
            asked = NewTurn("local", f"{words} number{index}", pictures, conversation, parent)
            begun = store.begin_turn(asked, source)
            said = " ".join(chance.choices(WORDS, k=80))
            store.save_answer(begun.answer_id, Outcome(said, "stop"))
            conversation, parent = begun.conversation_id, begun.answer_id


def timed(client: httpx.Client, path: str, repetitions: int) -> tuple[float, float]:
    """Median and slowest, in milliseconds; the first request is not counted."""
    client.get(path).raise_for_status()
    times = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        client.get(path).raise_for_status()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times), max(times)


def page_of(settings: object) -> object:
    """The page's application; Gradio wants an event loop where it is made."""
    from app.ui.page import create_app

    async def made() -> object:
        return create_app(settings)  # type: ignore[arg-type]

    return asyncio.run(made())


def report(client: httpx.Client, paths: dict[str, str], repetitions: int) -> None:
    """A line for each path."""
    for name, path in paths.items():
        median, slowest = timed(client, path, repetitions)
        print(f"  {name:<30}{median:8.1f}{slowest:8.1f}")


def main() -> None:
    """Fill, ask, print."""
    from app.controller.api import create_app
    from app.db.store import Store
    from app.protocol import PERSON_HEADER
    from app.settings import Settings
    from tests.servers import running

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=500)
    parser.add_argument("--repetitions", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), secret="benchmark")
        store = Store.open(settings)
        fill(store, settings, given.conversations)
        with (
            running(create_app(settings, store=store)) as url,
            httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
        ):
            first = client.get("/api/conversations?limit=200").json()
            picture = first["conversations"][0]["thumbnail"]
            paths = {
                "a page of 50": "/api/conversations",
                "a page of 200": "/api/conversations?limit=200",
                "the following page of 200": f"/api/conversations?limit=200&after={first['next']}",
                "search, one hit": f"/api/conversations?q=number{given.conversations - 1}",
                "search, three words in many": "/api/conversations?q=star+heart+tree",
                "search, two letters": "/api/conversations?q=su",
                "a thumbnail": f"/api/images/{picture}/thumbnail",
            }
            print(f"{given.conversations} conversations, milliseconds: median, slowest")
            report(client, paths, given.repetitions)
            settings.controller_url = url
            through = {
                "the page: a page of 50": "/conversations",
                "the page: a search": "/conversations?q=star+heart+tree",
                "the page: a thumbnail": f"/pictures/{picture}/thumbnail",
            }
            with running(page_of(settings)) as page:  # type: ignore[arg-type]
                client.base_url = page
                client.headers[PERSON_HEADER] = "local"
                report(client, through, given.repetitions)


if __name__ == "__main__":
    main()
