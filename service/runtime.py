"""The running service without its HTTP: everything is made here, once, and handed to whom it serves."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from service.access.allowance import Limits
from service.access.keyring import Keyring
from service.batcher import Batcher
from service.door import Door
from service.engine import Engine
from service.generation.studio import Studio
from service.logs import log_writer
from service.metrics import Metrics
from service.models.repository import load_models
from service.settings import Settings
from service.tracing import open_tracing

logger = logging.getLogger("forger")


class Runtime:
    """The models, the batcher in front of them, and the threads for all the rest of the work."""

    def __init__(self, settings: Settings) -> None:
        """Load the models; raises ``InvalidSettings`` if there can be no service."""
        self.settings = settings
        limits = Limits(settings.key_requests, settings.key_images)
        self.keyring = Keyring(settings.api_keys, settings.keys_file, limits)
        self.metrics = Metrics()
        self.door = Door()
        self.tracing = open_tracing(settings.traces, log_writer() or sys.stderr)
        self._engine = Engine(settings.device, settings.threads)
        self.repository = load_models(settings, self._engine, self.metrics.run_ended)
        for model in self.repository.all():
            self.metrics.name_backend(model.backend, model.name, model.version)
            self.metrics.model_info[model.name, str(model.version), model.digest, model.provider].set(1)
        self._batcher = Batcher(settings.threads, self.metrics, time.perf_counter)
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="forger-encode")
        self.studio = Studio(self._batcher, self._pool)
        self.keyring.watch()
        logger.info(
            "ready to draw", extra={"event": "ready", "facts": {"models": len(self.repository.all())}}
        )

    async def close(self) -> None:
        """Refuse new work, finish what was accepted, and end the threads."""
        self.door.close()
        logger.info("finishing what was accepted", extra={"event": "draining"})
        await self._batcher.drain()
        self.keyring.close()
        self._pool.shutdown(wait=True)
        self._engine.close()
        self.metrics.write()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)
        logger.info("everything that was accepted is done", extra={"event": "stopped"})
