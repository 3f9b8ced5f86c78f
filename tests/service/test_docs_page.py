"""The page that shows the document: it needs nothing but this service, and works under any prefix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.http import docs_page
from service.http.docs_page import ASSETS, POLICY, swagger_folder
from tests.fakes.site import LocalService, local_service


def test_this_release_of_bentoml_brings_swagger_ui_along() -> None:
    """A release that does not needs another home for the page's files."""
    assert swagger_folder() is not None


def test_the_page_is_made_of_files_of_its_own(service: LocalService) -> None:
    page = service.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<title>Forger</title>" in page.text
    linked = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert {f"docs/{name}" for name in ASSETS} < set(linked)
    for address in linked:
        assert address.startswith(("docs/", "openapi.json", "data:")), (
            "only relative addresses know every prefix"
        )
        if not address.startswith("data:"):
            assert service.get(f"/{address}").status_code == 200


def test_nothing_in_the_page_is_inline_or_from_elsewhere(service: LocalService) -> None:
    page = service.get("/docs")
    assert page.headers["content-security-policy"] == POLICY
    assert "default-src 'none'" in POLICY
    assert "script-src 'self';" in POLICY
    assert re.findall(r"<script(?![^>]*src=)|\bon\w+=|https?:", page.text) == []
    assert "http" not in service.get("/docs/start.js").text


@pytest.mark.parametrize("path", ["/docs", *(f"/docs/{name}" for name in ASSETS)])
def test_its_files_are_kept_until_they_change(service: LocalService, path: str) -> None:
    first = service.get(path)
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert first.headers["x-content-type-options"] == "nosniff"
    known = service.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", first.headers["etag"])
    assert service.get(path, headers={"if-none-match": '"another"'}).status_code == 200


@pytest.mark.parametrize("name", ["index.css", "..%2Fdocs", "%2e%2e", "start.js%00", "swagger-ui.css/"])
def test_no_other_file_is_served(service: LocalService, name: str) -> None:
    assert service.get(f"/docs/{name}").status_code == 404


def test_without_swagger_ui_the_page_says_so(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs_page, "swagger_folder", lambda: None)
    with local_service(models_dir) as site:
        page = site.get("/docs")
        assert (page.status_code, '<a href="openapi.json">' in page.text) == (200, True)
        assert "<script" not in page.text
        assert site.get("/docs/swagger-ui.css").status_code == 404
        assert site.get("/openapi.json").status_code == 200


def test_a_browser_that_asks_for_the_root_finds_the_page_under_a_prefix(models_dir: Path) -> None:
    with local_service(models_dir, root_path="/gan/v1") as site:
        led = site.get("/gan/v1/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (led.status_code, led.headers["location"]) == (302, "/gan/v1/docs")
        assert site.get(led.headers["location"]).status_code == 200
        for name in ASSETS:
            assert site.get(f"/gan/v1/docs/{name}").status_code == 200
