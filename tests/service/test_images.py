"""Images by their address: permalinks and previews, and what caches are told of them."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.models.served import ServedModel
from tests.fakes.models import CONDITIONAL, VECTOR, FakeModel, write_models
from tests.fakes.site import LocalService, local_service

LINK = "/images/grey/42/3.png"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """Two versions of one model, and a model of vectors that is the default."""
    newer = dataclasses.replace(CONDITIONAL, version=2)
    root = write_models(tmp_path_factory.mktemp("versions"), (CONDITIONAL, newer, VECTOR))
    with local_service(root, default_model="vector") as running:
        yield running


def served(service: LocalService, reference: str) -> ServedModel:
    return service.runtime.repository.resolve(reference)


def images_drawn(service: LocalService) -> float:
    lines = service.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("forger_images_total{"))


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {}),
        ("?class=three", {"class_label": "three"}),
        ("?class=3", {"class_label": 3}),
        ("?class=balanced", {"class_label": "balanced"}),
        ("?truncation=threshold:0.7", {"truncation": {"mode": "threshold", "value": 0.7}}),
        ("?truncation=scale:0&class=9", {"truncation": {"mode": "scale", "value": 0}, "class_label": 9}),
    ],
)
def test_a_link_is_the_image_that_a_request_draws(service: LocalService, query: str, body: dict) -> None:
    """To the last byte, with the recipe in the file and the facts in the headers."""
    linked = service.get(LINK + query)
    assert linked.status_code == 200
    assert linked.headers["content-type"] == "image/png"
    drawn = service.generate({"seed": 42, "index": 3, **body}, accept="image/png")
    assert linked.content == drawn.content
    facts = ("x-model", "x-model-version", "x-model-digest", "x-seed", "x-index", "x-class-label")
    assert {name: linked.headers[name] for name in facts} == {name: drawn.headers[name] for name in facts}


def test_a_name_that_is_a_number_is_a_name_first(tmp_path: Path) -> None:
    """As in a body's weights: an index is what is no name."""
    fake = dataclasses.replace(CONDITIONAL, classes=("1", "0", "two"))
    with local_service(write_models(tmp_path, (fake,))) as service:
        assert service.get(f"{LINK}?class=1").headers["x-class-label"] == "1"
        by_index = service.generate({"class_label": 0, "seed": 42, "index": 3}, accept="image/png")
        assert service.get(f"{LINK}?class=1").content == by_index.content
        assert service.get(f"{LINK}?class=2").headers["x-class-label"] == "two"


def test_links_of_other_models(service: LocalService) -> None:
    assert pixels(service.get("/images/colour/1/2.png").content).shape == (4, 9, 3)
    assert "x-class-label" not in service.get("/images/colour/1/2.png").headers
    assert service.get("/images/grey:1/42/3.png").content == service.get(LINK).content


def test_a_strong_etag_changes_with_whatever_changes_the_file(service: LocalService) -> None:
    links = [
        LINK, "/images/grey/42/4.png", "/images/grey/43/3.png", "/images/colour/42/3.png",
        "/images/uniform/42/3.png", f"{LINK}?class=one", f"{LINK}?class=two",
        f"{LINK}?truncation=threshold:0.7", f"{LINK}?truncation=scale:0.7", f"{LINK}?truncation=scale:0.8",
    ]  # fmt: skip
    tags = [service.get(link).headers["etag"] for link in links]
    assert len(set(tags)) == len(links)
    assert all(re.fullmatch(r'"[!-~]+"', tag) for tag in tags)
    assert [service.get(link).headers["etag"] for link in links] == tags


def test_two_spellings_of_one_image_are_one_entity(service: LocalService) -> None:
    by_default = service.get(LINK)
    name = by_default.headers["x-class-label"]
    assert service.get(f"{LINK}?class={name}").headers["etag"] == by_default.headers["etag"]


@pytest.mark.parametrize(
    "link", [f"{LINK}?class=one", "/models/grey/preview.png", "/models/vector/preview.png"]
)
def test_a_client_that_has_the_image_is_told_so_without_drawing(service: LocalService, link: str) -> None:
    first = service.get(link)
    tag = first.headers["etag"]
    before = images_drawn(service)
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = service.get(link, headers={"if-none-match": condition})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("etag", "cache-control"):
            assert again.headers[name] == first.headers[name]
    assert images_drawn(service) == before
    for condition in ('"other"', tag.strip('"'), 'W/"x"', ""):
        assert service.get(link, headers={"if-none-match": condition}).status_code == 200, condition
    assert images_drawn(service) > before


def test_head_tells_the_size_and_the_tag(service: LocalService) -> None:
    full, head = service.get(LINK), service.request("HEAD", LINK)
    assert head.status_code == 200
    for name in ("etag", "content-length", "content-type", "cache-control"):
        assert head.headers[name] == full.headers[name]


@pytest.mark.parametrize("link", [LINK, "/models/grey/preview.png"])
def test_a_link_that_names_the_digest_may_be_kept_for_ever(service: LocalService, link: str) -> None:
    digest = served(service, "grey").digest
    kept = service.get(f"{link}?digest={digest}")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.content == service.get(link).content
    assert service.get(link).headers["cache-control"] == "public, no-cache"


@pytest.mark.parametrize("link", [LINK, "/models/grey/preview.png"])
def test_a_stale_digest_is_409(service: LocalService, link: str) -> None:
    """Also for a client that asks whether its copy is good: the copy is of another model."""
    stale = "sha256:" + "0" * 64
    tag = service.get(link).headers["etag"]
    response = service.get(f"{link}?digest={stale}", headers={"if-none-match": tag})
    assert response.status_code == 409
    assert response.json()["type"] == "/problems/stale-digest"
    assert served(service, "grey").digest in response.json()["detail"]
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("link", "status", "parameter", "words"),
    [
        ("/images/none/1/2.png", 404, None, "available"),
        ("/images/grey:7/1/2.png", 404, None, "grey:1"),
        ("/images/grey/-1/2.png", 422, "seed", "from 0 to 9007199254740991"),
        ("/images/grey/1.0/2.png", 422, "seed", "whole number"),
        ("/images/grey/x/2.png", 422, "seed", "whole number"),
        ("/images/grey/1/9007199254740992.png", 422, "index", "at most 9007199254740991"),
        ("/images/grey/1/" + "9" * 5000 + ".png", 422, "index", "whole number"),
        ("/images/grey/1/2.jpg", 404, None, "nothing"),
        (f"{LINK}?class=eleven", 422, "class", "zero, one"),
        (f"{LINK}?class=10", 422, "class", "0 to 9"),
        (f"{LINK}?class=", 422, "class", "no class"),
        (f"{LINK}?class=-1", 422, "class", "no class"),
        ("/images/colour/1/2.png?class=1", 422, "class", "no classes"),
        (f"{LINK}?truncation=0.7", 422, "truncation", "threshold:T"),
        (f"{LINK}?truncation=threshold:nan", 422, "truncation", "threshold:T"),
        (f"{LINK}?truncation=threshold:0", 422, "truncation", "above 0"),
        (f"{LINK}?truncation=scale:3", 422, "truncation", "0 to 2"),
        (f"{LINK}?truncation=spread:1", 422, "truncation", "threshold"),
        ("/images/uniform/1/2.png?truncation=threshold:1", 422, "truncation", "allowed: scale"),
        ("/images/sphere/1/2.png?truncation=scale:1", 422, "truncation", "leave truncation out"),
        (f"{LINK}?digest=abc", 422, "digest", "hexadecimal"),
        (f"{LINK}?size=3", 422, "size", "allowed: class, truncation, digest"),
        (f"{LINK}?class=one&class=two", 422, "class", "once"),
        ("/images/vector/1/2.png", 422, "model", "vectors"),
        ("/models/grey/preview.png?class=1", 422, "class", "allowed: version, digest"),
        ("/models/grey/preview.png?version=0", 422, "version", "whole number"),
        ("/models/grey/preview.png?version=9", 404, None, "grey:1"),
        ("/models/none/preview.png", 404, None, "available"),
    ],
)
def test_wrong_links_say_what_is_wrong(
    service: LocalService, link: str, status: int, parameter: str | None, words: str
) -> None:
    response = service.get(link)
    assert response.status_code == status, response.text
    document = response.json()
    assert words in document["detail"]
    if parameter is not None:
        [fault] = document["errors"]
        assert fault["parameter"] == parameter
        assert fault["detail"].startswith(parameter)


def test_a_link_has_a_deadline_too(service: LocalService) -> None:
    assert service.get(LINK, headers={"x-timeout-ms": "0"}).status_code == 422


def test_the_preview_is_the_models_own_file(tmp_path: Path) -> None:
    """Byte for byte as it was exported, and of the version that is asked for."""
    with_preview = dataclasses.replace(CONDITIONAL, preview=b"\x89PNG of one")
    newer = dataclasses.replace(CONDITIONAL, version=2, preview=b"\x89PNG of two")
    with local_service(write_models(tmp_path, (with_preview, newer))) as service:
        current = service.get("/models/grey/preview.png")
        assert current.content == b"\x89PNG of two"
        assert current.headers["content-type"] == "image/png"
        for link in ("/models/grey/preview.png?version=1", "/models/grey:1/preview.png"):
            assert service.get(link).content == b"\x89PNG of one"
        assert current.headers["etag"] != service.get(link).headers["etag"]


@pytest.mark.parametrize("fake", [CONDITIONAL, VECTOR])
def test_a_model_without_one_draws_its_preview(service: LocalService, fake: FakeModel) -> None:
    response = service.get(f"/models/{fake.name}/preview.png")
    assert response.status_code == 200
    height, width = pixels(response.content).shape[:2]
    if fake is CONDITIONAL:
        assert (height, width) == (10 * 8 - 2, 7 * 7 - 2), "ten classes, seven of each at most"
    assert service.get(f"/models/{fake.name}/preview.png").content == response.content


def test_several_versions_are_served_at_once(versions: LocalService) -> None:
    """A bare name is the highest version; each has its own weights, digest and links."""
    drawn = {
        reference: versions.generate({"model": reference, "seed": 1}).json()
        for reference in ("grey", "grey:1", "grey:2")
    }
    assert [answer["version"] for answer in drawn.values()] == [2, 1, 2]
    assert drawn["grey"]["data"] == drawn["grey:2"]["data"] != drawn["grey:1"]["data"]
    assert drawn["grey"]["model_digest"] != drawn["grey:1"]["model_digest"]
    [grey, vector] = versions.get("/models").json()["data"]
    assert (grey["version"], grey["versions"], grey["default"]) == (2, [1, 2], False)
    assert (vector["name"], vector["default"]) == ("vector", True)
    assert versions.generate().json()["model"] == "vector"
    older = versions.get("/models/grey?version=1").json()
    assert (older["version"], older["digest"]) == (1, drawn["grey:1"]["model_digest"])
    for version in (1, 2):
        link = versions.get(f"/images/grey:{version}/1/0.png")
        assert link.headers["x-model-version"] == str(version)


def test_a_link_to_an_older_version_is_stale_under_the_bare_name(versions: LocalService) -> None:
    digest = versions.get("/models/grey?version=1").json()["digest"]
    assert versions.get(f"/images/grey/1/0.png?digest={digest}").status_code == 409
    assert versions.get(f"/images/grey:1/1/0.png?digest={digest}").status_code == 200


def test_versions_can_share_one_request_path(versions: LocalService) -> None:
    """Arithmetic and interpolation name their model as sampling does."""
    terms = {"terms": [{"weight": 1, "of": [{"seed": 1}]}], "class_label": 1}
    for version in (1, 2):
        body = {"model": f"grey:{version}", **terms}
        answer = versions.post("/arithmetic", body).json()
        assert answer["version"] == version
        same = {"model": f"grey:{version}", "seed": 1, "class_label": 1}
        drawn = versions.generate(same, accept="application/x-npy")
        assert versions.post("/arithmetic", body, accept="application/x-npy").content == drawn.content
