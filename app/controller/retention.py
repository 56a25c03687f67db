"""Unused conversations are deleted after the retention period, while the controller runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.db.store import Store
from app.errors import StudioError

log = logging.getLogger(__name__)

SWEEP_SECONDS = 3600.0


async def sweep(store: Store, days: float) -> None:
    """Finish interrupted deletions, and delete what is older than ``days`` days (0: nothing)."""
    try:
        await asyncio.to_thread(store.forgetting.tidy)
        number = await asyncio.to_thread(store.forgetting.delete_unused, days) if days else 0
    except (StudioError, OSError) as error:
        log.error("old conversations could not be deleted; next try in an hour: %s", error)
        return
    if number:
        log.info("deleted %d conversations that were not used for %g days", number, days)


@asynccontextmanager
async def sweeping(store: Store, days: float) -> AsyncIterator[None]:
    """Sweep now and every hour while the block runs."""

    async def work() -> None:
        while True:
            await sweep(store, days)
            await asyncio.sleep(SWEEP_SECONDS)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
