"""Keeps the controller informed: registers, renews the lease, and comes back after a restart.

It runs as a task of its own. A controller that is slow or gone costs the worker's requests nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx

from app.protocol import Lease, WorkerStatus
from app.settings import Settings

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 3.0
"""Between two attempts, so that the controller knows its workers soon after its own restart."""
TIMEOUT_SECONDS = 3.0


class Registrar:
    """Tells the controller about this worker, again and again.

    Registering and renewing are the same message, so a controller that has lost its memory learns
    everything with the next renewal.
    """

    def __init__(
        self,
        settings: Settings,
        status: Callable[[], WorkerStatus],
        client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._status = status
        self._url = f"{settings.controller_address}/internal/workers"
        # Never through a proxy of the environment: these are the project's own machines.
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)
        self._sleep = sleep
        self._known: bool | None = None
        self._told = False

    async def run(self) -> None:
        """Register and renew until cancelled."""
        failures = 0
        while True:
            lease = await self.renew()
            failures = 0 if lease else failures + 1
            await self._sleep(self._pause(lease, failures))

    async def renew(self) -> Lease | None:
        """Tell the controller once; None where it could not be told."""
        body = self._status().model_dump(mode="json")
        self._told = True
        try:
            reply = await self._client.post(self._url, json=body, headers=self._headers)
            reply.raise_for_status()
            lease = Lease.model_validate_json(reply.content)
        except (httpx.HTTPError, ValueError) as error:
            self._note(False, _reason(error))
            return None
        self._note(True)
        return lease

    async def leave(self) -> None:
        """Take the worker off the controller's list, as far as the controller can be reached."""
        try:
            url = f"{self._url}/{self._status().worker_id}"
            (await self._client.delete(url, headers=self._headers)).raise_for_status()
        except httpx.HTTPError as error:
            log.info("could not sign off from %s: %s", self._url, _reason(error))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @property
    def told(self) -> bool:
        """Whether the controller may know of the worker: it was told, reply or not."""
        return self._told

    @property
    def _headers(self) -> dict[str, str]:
        secret = self._settings.secret
        return {"Authorization": f"Bearer {secret}"} if secret else {}

    def _pause(self, lease: Lease | None, failures: int) -> float:
        """Seconds to the next renewal: well before the lease ends, or a back-off from 0.25 s."""
        if lease:
            return min(self._settings.renew_seconds, lease.seconds / 3)
        return min(0.25 * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE_SECONDS)

    def _note(self, known: bool, reason: str = "") -> None:
        """Say when the connection comes or goes, not at each attempt."""
        if known == self._known:
            return
        self._known = known
        if known:
            log.info("registered with %s", self._settings.controller_address)
        else:
            log.warning("cannot register with %s: %s", self._settings.controller_address, reason)


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 401:
        return "the controller has another secret; set the same LLAVA_STUDIO_SECRET for both"
    return str(error) or type(error).__name__
