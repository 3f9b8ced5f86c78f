"""Versions come and go under load: no request fails, no image is of another model, nothing is kept."""

from __future__ import annotations

import gc
import re
import weakref
from pathlib import Path

import psutil
import pytest

from tests.chaos.swaps import IMAGES, NAME, SEED, Load, Swapper
from tests.fakes.keys import OPERATOR, bearer, operators_file
from tests.fakes.site import local_service

_KEY = bearer(OPERATOR)
_MIBYTE = 2**20
_SWAPS = 80
_SETTLED = 30


@pytest.mark.slow
def test_swaps_under_load(tmp_path: Path) -> None:
    """A tenth of them corrupt. Sessions that leak would be 150 MiB of weights."""
    swapper = Swapper(tmp_path, dim=64, side=64)
    swapper.publish()
    memory = psutil.Process()
    body = {"model": NAME, "seed": SEED, "n": IMAGES}
    with local_service(tmp_path, keys_file=operators_file(tmp_path), models_poll_s=0) as site:
        runtime = site.runtime
        backends = [weakref.ref(runtime.repository.resolve(NAME).backend)]
        picture = f"/images/{NAME}/{SEED}/0.png"
        with (
            Load(lambda: site.generate(body, **_KEY), swapper.fault, clients=2) as load,
            Load(lambda: site.get(picture, headers=_KEY), swapper.picture_fault, clients=1) as pictures,
        ):
            for swap in range(_SWAPS):
                swapper.publish()
                assert site.request("POST", "/admin/reload", headers=_KEY).status_code == 200
                swapper.remove_older()
                answer = site.request("POST", "/admin/reload", headers=_KEY).json()["data"]
                served = {one["version"] for one in answer if one["state"] == "served"}
                sound = swapper.version - 1 if swapper.is_corrupt else swapper.version
                assert served == {sound}
                backends.append(weakref.ref(runtime.repository.resolve(NAME).backend))
                if swap == _SETTLED:
                    gc.collect()
                    settled = memory.memory_info().rss
        gc.collect()
        grown = memory.memory_info().rss - settled
        assert load.faults + pictures.faults == []
        assert pictures.answers.keys() == {200}
        assert load.answers.keys() == {200}
        assert len(load.versions) > _SWAPS / 2
        assert site.generate(body, **_KEY).status_code == 200
        assert len({ref() for ref in backends} - {None}) == 1
        assert len(runtime._batcher._queues) == 1
        assert len(runtime.metrics._models) == 1
        assert not runtime.studio._rows_on_threads
        text = site.get("/metrics", headers=_KEY).text
        shown = set(re.findall('version="([0-9]+)"', text))
        assert shown == {str(runtime.repository.resolve(NAME).version)}
        assert grown < 75 * _MIBYTE
