"""A taken port is named with the program that holds it and the flag that chooses another."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from app.ports import PortTaken, check_free, listen
from tests.servers import free_port


def test_a_free_port_is_free_and_stays_free() -> None:
    port = free_port()
    check_free("127.0.0.1", port, "--port")
    with listen("127.0.0.1", port, "--port") as sock:
        assert sock.getsockname() == ("127.0.0.1", port)


def test_a_taken_port_names_its_holder_and_the_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            check_free("127.0.0.1", port, "--worker-port")
    assert f"Port {port} is already in use" in caught.value.message
    assert f"(process {os.getpid()})" in caught.value.message
    assert f"--worker-port {port + 1}" in caught.value.remedy


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(PortTaken, match=r"Cannot listen on 192\.0\.2\.1"):
        check_free("192.0.2.1", free_port(), "--port")


def test_replies_are_sent_at_once() -> None:
    """Without TCP_NODELAY each reply in two pieces takes 40 ms longer, over a local line too."""

    async def nodelay() -> int:
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken = writer.get_extra_info("socket")
            told.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0, "--port") as sock:
            async with await asyncio.start_server(accepted, sock=sock):
                _, writer = await asyncio.open_connection(*sock.getsockname())
                found = await told
                writer.close()
        return found

    assert asyncio.run(nodelay())
