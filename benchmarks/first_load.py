"""How long the first load of the page takes, on loopback, in a headless Chromium.

``python benchmarks/first_load.py`` starts controller, worker and page in processes of their own,
as ``python app.py`` does, with the bundled checkpoints; then opens the page several times, each in
a browser context that has nothing cached, and prints the medians in milliseconds: until the page
shows something (first contentful paint), until the message box can be typed in, and until a
question can be sent (the models have been heard of). With ``--again`` also the same pages reloaded,
with what the browser keeps. The aim is a first load under 2 seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Browser, BrowserContext, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
TYPING = "document.querySelector('#box textarea')"
SENDING = "document.querySelector('#sees .sees') && document.querySelector('#box .submit-button')"
FILES = """
performance.getEntriesByType("resource").map(({ name, transferSize, responseEnd }) =>
  [name.split("/").slice(3).join("/").slice(0, 60), transferSize, Math.round(responseEnd)])
"""


def until(context: BrowserContext, url: str) -> dict[str, float]:
    """Milliseconds from the start of the navigation."""
    page = context.new_page()
    page.goto(url, wait_until="commit")
    times = {}
    for name, condition in (("typing", TYPING), ("sending", SENDING)):
        times[name] = page.wait_for_function(
            f"() => ({condition}) ? performance.now() : 0", polling="raf"
        ).json_value()
    times["painted"] = page.evaluate(PAINTED)
    files = page.evaluate(FILES)
    times["files"] = len(files)
    times["kilobytes"] = sum(size for _, size, _ in files) / 1000
    page.close()
    return times


def measure(browser: Browser, url: str, repetitions: int, again: bool) -> None:
    """Print the medians of loads with an empty cache, and of loads with a full one."""
    empty, full = [], []
    for _ in range(repetitions):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        empty.append(until(context, url))
        if again:
            full.append(until(context, url))
        context.close()
    for name, times in (("first load", empty), ("again", full)):
        if times:
            medians = {key: statistics.median(each[key] for each in times) for key in times[0]}
            slowest = max(each["sending"] for each in times)
            print(
                f"{name}: painted {medians['painted']:.0f} ms, typing {medians['typing']:.0f} ms, "
                f"sending {medians['sending']:.0f} ms (slowest {slowest:.0f} ms); "
                f"{medians['files']:.0f} files, {medians['kilobytes']:.0f} kB"
            )


def started(ports: list[int], folder: Path) -> subprocess.Popen[bytes]:
    """The app in processes of its own, ready."""
    page, controller, worker = ports
    command = [sys.executable, "app.py", "--data-dir", str(folder), "--port", str(page)]
    command += ["--controller-port", str(controller), "--worker-port", str(worker)]
    app = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    models = f"http://127.0.0.1:{controller}/v1/models"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            if httpx.get(models, trust_env=False).json()["data"]:
                return app
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    app.terminate()
    raise SystemExit("The app did not start within three minutes.")


def main() -> None:
    """See the module's description."""
    from tests.servers import free_port

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--again", action="store_true", help="also with what the browser keeps")
    parser.add_argument("--url", help="a page that is already served, instead of one started here")
    given = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        ports = [free_port() for _ in range(3)]
        app = None if given.url else started(ports, Path(folder))
        try:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            url = given.url or f"http://127.0.0.1:{ports[0]}/"
            until(browser.new_context(), url)  # the server's first request is not counted
            measure(browser, url, given.repetitions, given.again)
            browser.close()
        finally:
            if app:
                app.terminate()
                app.wait(30)


if __name__ == "__main__":
    main()
