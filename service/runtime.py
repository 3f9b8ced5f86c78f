"""The running service without its HTTP: everything is made here, once, and handed to whom it serves."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from contract.layout import ModelDirectory
from service.access.allowance import Limits
from service.access.keyring import Keyring
from service.batcher import Batcher
from service.door import Door
from service.engine import Engine
from service.generation.studio import Studio
from service.logs import log_writer
from service.metrics import Metrics
from service.models.administration import Administration
from service.models.decisions import decision_store
from service.models.keeper import Keeper
from service.models.loading import load_model
from service.models.prover import Prover
from service.models.repository import Repository
from service.models.served import ServedModel
from service.settings import Settings
from service.tracing import open_tracing

logger = logging.getLogger("forger")


class Runtime:
    """The models, the batcher in front of them, and the threads for all the rest of the work."""

    def __init__(self, settings: Settings, *, try_models: bool = True) -> None:
        """Load the models, each in another process first, unless they are known to end none.

        Raises ``InvalidSettings`` if there can be no service.
        """
        self.settings = settings
        limits = Limits(settings.key_requests, settings.key_images)
        self.keyring = Keyring(settings.api_keys, settings.keys_file, limits)
        self.metrics = Metrics()
        self.door = Door()
        self.tracing = open_tracing(settings.traces, log_writer() or sys.stderr)
        self._engine = Engine(settings.device, settings.threads)
        self._batcher = Batcher(settings.threads, self.metrics, time.perf_counter)
        store = decision_store(settings.state_file)
        self._prover = Prover(settings, self._engine.device, store.beside("proved"))
        self._try_first = self._prover.prove if try_models else None
        self._keeper = Keeper(settings, self._load, store, self, self._prover.rest)
        self.administration = Administration(self._keeper)
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="forger-encode")
        self.studio = Studio(self._batcher, self._pool)
        self._keeper.start()
        self.keyring.watch()
        logger.info(
            "ready to draw", extra={"event": "ready", "facts": {"models": len(self.repository.all())}}
        )

    def _load(self, directory: ModelDirectory) -> ServedModel:
        observe = self.metrics.run_ended
        return load_model(directory, self.settings, self._engine, observe, self._try_first)

    @property
    def repository(self) -> Repository:
        """What is served at this moment; a request asks once, and keeps to that."""
        return self._keeper.repository

    def model_served(self, model: ServedModel) -> None:
        """Count what a new model does from now on (``keeper.Audience``)."""
        self.metrics.name_backend(model.backend, model.name, model.version, model.digest)
        self.metrics.model_info[model.name, str(model.version), model.digest, model.provider].set(1)

    def model_retired(self, model: ServedModel) -> None:
        """Let go of a model once nobody uses it (``keeper.Audience``)."""
        self._batcher.retire(model.backend)
        self.metrics.forget_model(model.name, model.version)

    async def close(self) -> None:
        """Refuse new work, finish what was accepted, and end the threads."""
        self.door.close()
        logger.info("finishing what was accepted", extra={"event": "draining"})
        await self._batcher.drain()
        self.keyring.close()
        self._prover.close()
        await asyncio.to_thread(self._keeper.close)
        self._pool.shutdown(wait=True)
        self._engine.close()
        self.metrics.write()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)
        logger.info("everything that was accepted is done", extra={"event": "stopped"})
