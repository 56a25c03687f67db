"""Who is measured: ours and each peer, started in a process of its own and stopped by its id.

``python -m benchmarks.engine_peers generate ...`` and ``... bandwidth`` are the processes of those
that have no server; the last line that they print is what they measured, as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks import engine_llama
from benchmarks.engine_clients import LlamaPeer, OpenAIPeer
from benchmarks.engine_requests import PEOPLE, Peer, Samples, measure

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180.0
SESSION_SECONDS = 900.0
"""No peer may take longer for all its measurements of one repeat."""


@dataclass(frozen=True)
class Side:
    """One of those that are compared. ``family`` is what ``--peers`` knows it by."""

    key: str
    family: str
    name: str
    weights: str
    kinds: tuple[str, ...]


SIDES = (
    Side("ours-32bit", "ours", "ours", "32 bits", ("one", "second-turn", "eight")),
    Side("ours-16bit", "ours", "ours", "16 bits", ("one", "second-turn", "eight")),
    Side("ours-8bit", "ours", "ours", "8 bits", ("one", "second-turn", "eight")),
    Side("generate", "generate", "transformers' `generate`", "32 bits", ("one", "second-turn")),
    Side("threads", "generate", "`generate` in a thread for each person", "32 bits", ("eight",)),
    Side("serve", "serve", "`transformers serve`", "32 bits", ("eight",)),
    Side("llama-F32", "llama", "llama.cpp's server", "32 bits", ("one", "second-turn", "eight")),
    Side("llama-F16", "llama", "llama.cpp's server", "16 bits", ("one", "eight")),
    Side("llama-Q8_0", "llama", "llama.cpp's server", "8 bits", ("one", "eight")),
)


@dataclass(frozen=True)
class Setting:
    """What is the same for all of them."""

    folder: Path
    threads: int
    tokens: int

    @property
    def model(self) -> Path:
        """The checkpoint."""
        return self.folder / "model"

    @property
    def llama(self) -> Path:
        """llama.cpp's sources and server."""
        return self.folder / "llama.cpp"


def why_not(side: Side, setting: Setting) -> str | None:
    """Why a side cannot take part on this machine; None where it can."""
    if side.family == "llama" and not engine_llama.server(setting.llama).exists():
        return "no llama.cpp server; build one: python -m benchmarks.engine --build-llama"
    if side.family == "serve":
        from transformers.utils.import_utils import is_serve_available

        if not is_serve_available():
            return "pip install 'transformers[serving]'"
    return None


def run_side(side: Side, setting: Setting, kinds: Sequence[str], repeat: int) -> Samples:
    """One start of a side, and all its measurements of one repeat."""
    if side.family == "generate":
        options = ["generate", "--kinds", ",".join(kinds), "--repeat", str(repeat)]
        found: Samples = run_apart(options, setting)
        return found
    with started(side, setting) as peer:
        return measure(peer, kinds, setting.tokens, repeat)


# --- processes ------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(side: Side, setting: Setting) -> Iterator[Peer]:
    """A server that is ready for requests; it is stopped however the measurement ends."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = _command(side, setting, port, Path(folder))
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(process(command, setting, log, Path(folder)))
            try:
                _until_ready(address, server, log)
            except RuntimeError:
                if side.family != "llama":
                    raise
                # Its kernels for AMX end with an illegal instruction on some virtual machines.
                print("once more with --no-repack: ", end="", flush=True)
                command.append("--no-repack")
                server = stack.enter_context(process(command, setting, log, Path(folder)))
                _until_ready(address, server, log)
            if side.family == "llama":
                yield LlamaPeer(address)
            else:
                yield OpenAIPeer(address, "" if side.family == "ours" else str(setting.model))


def _command(side: Side, setting: Setting, port: int, folder: Path) -> list[str]:
    options: dict[str, Any]
    if side.family == "ours":
        precision = side.key.removeprefix("ours-")
        nobody = f"http://127.0.0.1:{free_port()}"
        options = {"model": setting.model, "precision": precision, "device": "cpu"}
        options |= {"worker-port": port, "controller-url": nobody, "data-dir": folder}
        return [sys.executable, str(ROOT / "app.py"), "worker", *_flags(options)]
    if side.family == "serve":
        program = Path(sys.executable).parent / "transformers"
        options = {"host": "127.0.0.1", "port": port, "device": "cpu", "dtype": "float32"}
        return [str(program), "serve", str(setting.model), *_flags(options)]
    kind = side.key.removeprefix("llama-")
    language, pictures = engine_llama.convert(setting.model, setting.folder / "gguf", kind)
    options = {"model": language, "mmproj": pictures, "host": "127.0.0.1", "port": port}
    options |= {"threads": setting.threads, "threads-batch": setting.threads}
    options |= {"parallel": PEOPLE, "ctx-size": PEOPLE * 1024}
    return [str(engine_llama.server(setting.llama)), *_flags(options)]


def _flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def free_port() -> int:
    """A port on this machine that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def process(
    command: list[str], setting: Setting, output: Path, folder: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in a file, away from the terminal's Ctrl-C; ended at the end."""
    threads = str(setting.threads)
    environment = {
        **{name: value for name, value in os.environ.items() if "LLAVA_STUDIO" not in name},
        **{"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)},
        **{"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    }
    with output.open("wb") as file:
        child = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(15)
            except BaseException as error:
                child.kill()
                child.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise


def _until_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError, ValueError), httpx.Client(trust_env=False) as web:
            told = web.get(f"{address}/health", timeout=5)
            if told.status_code == 200 and told.json().get("status") in ("ready", "ok"):
                return
        time.sleep(0.2)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def run_apart(options: list[str], setting: Setting) -> Any:
    """What ``python -m benchmarks.engine_peers`` prints for ``options``."""
    command = [sys.executable, "-m", "benchmarks.engine_peers", *options]
    command += ["--folder", str(setting.folder), "--threads", str(setting.threads)]
    command += ["--tokens", str(setting.tokens)]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        with process(command, setting, output) as child:
            status = child.wait(SESSION_SECONDS)
        text = output.read_text(errors="replace").strip()
    if status:
        raise RuntimeError(f"{' '.join(options)} failed:\n{text[-2000:]}")
    return json.loads(text.splitlines()[-1])


def main() -> None:
    """Command line of those without a server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("generate", "bandwidth"))
    parser.add_argument("--kinds", default="one")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=0)
    given = parser.parse_args()
    from benchmarks.engine_generate import GeneratePeer, bandwidth

    setting = Setting(given.folder, given.threads, given.tokens)
    if given.what == "bandwidth":
        print(json.dumps(bandwidth(setting.threads)))
    else:
        peer = GeneratePeer(setting.model, setting.threads)
        print(json.dumps(measure(peer, given.kinds.split(","), setting.tokens, given.repeat)))


if __name__ == "__main__":
    main()
