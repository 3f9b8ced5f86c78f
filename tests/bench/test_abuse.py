"""The bench of abuse: its floods are really refused, and its neighbour is really served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.serving.abuse import guarded
from bench.serving.load import Workload
from bench.serving.servers import ONE
from tests.fakes.keys import stopped
from tests.fakes.models import write_models
from tests.fakes.site import LocalService, local_service


def statuses(site: LocalService, work: Workload, times: int) -> set[int]:
    headers: dict[str, Any] = dict(line.split(": ", 1) for line in work.headers)
    body = work.body.replace("%SEED%", "7")
    return {site.request("POST", work.path, content=body, headers=headers).status_code for _ in range(times)}


def test_its_neighbour_is_served_and_its_floods_are_refused(tmp_path: Path) -> None:
    contender, floods = guarded("grey", tmp_path / "keys.jsonl")
    settings = {name.removeprefix("FORGER_").lower(): value for name, value in contender.environment.items()}
    with local_service(write_models(tmp_path / "models"), **settings) as site:
        stopped(site)
        assert statuses(site, contender.works[ONE], 20) == {200}
        assert statuses(site, floods["a key over its limit"], 20) == {200, 429}
        assert statuses(site, floods["no key"], 3) == {401}
        assert statuses(site, contender.works[ONE], 20) == {200}
