"""Accept: the client's liking decides, by RFC 9110, among what can be made."""

from __future__ import annotations

import pytest

from service.http.negotiation import choose

OFFERS = ["application/json", "image/png", "image/jpeg", "image/webp", "application/x-npy"]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("image/*", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("IMAGE/PNG", "image/png"),
        ("image/png, */*", "image/png"),
        ("*/*, image/png", "image/png"),
        ("image/webp,image/png;q=0.9,*/*;q=0.8", "image/webp"),
        ("image/png;q=0.5, application/json;q=0.6", "application/json"),
        ("image/png;q=0.5, application/json;q=0.4", "image/png"),
        ("application/json;q=0, */*", "image/png"),
        ("image/*;q=0.3, image/png;q=0", "image/jpeg"),
        ("text/html, application/x-npy", "application/x-npy"),
        ("image/png ; q=1 ; x=y", "image/png"),
        ("image/png;q=nonsense", "image/png"),
        ("nonsense, image/png", "image/png"),
        ("text/html", None),
        ("nonsense", None),
        ("*/png", None),
        ("image/png;q=0", None),
    ],
)
def test_the_best_liked_offer_is_chosen(accept: str | None, chosen: str | None) -> None:
    assert choose(accept, OFFERS) == chosen
