"""POST /arithmetic: what is drawn in which order, which class it shows, and what is refused, by name.

The numbers themselves are computed anew in ``test_formulas``.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from tests.fakes.site import LocalService

LAST = 2**53 - 1
SEED = {"seed": 1}
Z = {"z": [1, 2, 3, 4]}
SCALE_HALF = {"mode": "scale", "value": 0.5}


def term(*of: dict[str, Any], weight: object = 1, **more: object) -> dict[str, Any]:
    return {"weight": weight, "of": [*of], **more}


def summed(*terms: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return a request of these terms, or of one, and of class 1 if nothing else is said."""
    return {"terms": [*terms] or [term(SEED)], "class_label": 1, **more}


def items(service: LocalService, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = service.post("/arithmetic", {"output_format": "npy", "return_latents": True, **body})
    assert response.status_code == 200, response.text
    return response.json()["data"]


def labels(service: LocalService, body: dict[str, Any]) -> list[object]:
    """Return each image's class: its index, or the weights of a mixture by name."""
    told = [item["class_label"] for item in items(service, body)]
    return [one["weights"] if one["index"] is None else one["index"] for one in told]


FANCY = [term(SEED, {"seed": 2}), term({"seed": 3, "index": 7}, weight=-1), term({"latent": [1, 0, -2, 0.5]})]


@pytest.mark.parametrize("model", ["grey", "colour", "uniform", "sphere", "vector"])
def test_result_comes_first_then_neighbours_then_terms(service: LocalService, model: str) -> None:
    body = {"model": model, "terms": FANCY[:2], "include_terms": True, "jitter": {"n": 3}}
    body |= {"class_label": 4} if model == "grey" else {}
    data = items(service, body)
    assert [item["role"] for item in data] == ["result", *["neighbour"] * 3, "term", "term"]
    assert {(item["seed"], item["index"]) for item in data} == {(None, None)}
    assert len({item["b64_json"] for item in data}) == 6
    assert items(service, {**body, "jitter": None}) == data[:1] + data[4:]
    assert items(service, {**body, "include_terms": False}) == data[:4]


@pytest.mark.parametrize("normalize", ["match", "sphere", "none"])
def test_a_term_is_drawn_as_if_it_stood_alone(service: LocalService, normalize: str) -> None:
    """Its weight plays no part, nor does its sign."""
    body = summed(*FANCY, normalize=normalize)
    together = items(service, {**body, "include_terms": True})[1:]
    for one, image in zip(FANCY, together, strict=True):
        [alone] = items(service, {**body, "terms": [{**one, "weight": 1}]})
        assert alone == {**image, "role": "result"}


def test_neighbours_depend_on_their_seed_and_place_alone(service: LocalService) -> None:
    plain = items(service, summed(jitter={}))
    assert len(plain) == 9
    assert plain == items(service, summed(jitter={"n": 8, "scale": 0.25, "seed": 0}))
    assert plain[:4] == items(service, summed(jitter={"n": 3}))
    assert plain[:1] == items(service, summed())
    for other in ({"seed": 1}, {"scale": 0.3}):
        others = items(service, summed(jitter=other))
        assert others[0] == plain[0]
        assert not {one["latent_b64"] for one in plain[1:]} & {one["latent_b64"] for one in others[1:]}
    assert len(items(service, summed(jitter={"n": 64, "scale": 4, "seed": LAST}, include_terms=True))) == 66


def test_no_order_of_terms_or_references_changes_a_pixel(service: LocalService) -> None:
    first = items(service, summed(*FANCY, jitter={"n": 2}))
    mixed = [FANCY[2], term({"seed": 2}, {"seed": 1, "index": 0}), FANCY[1]]
    assert items(service, summed(*mixed, jitter={"n": 2})) == first
    labelled = [term(SEED, weight=w, class_label=c) for w, c in ((0.1, 3), (0.2, 3), (0.3, 3), (0.7, 8))]
    told = [
        items(service, {"terms": order}) for order in (labelled, labelled[::-1], labelled[1:] + labelled[:1])
    ]
    assert told[0] == told[1] == told[2]


def test_every_kind_of_reference_names_the_same_latent(service: LocalService) -> None:
    """Spelled out, it is also the same latent to the sum: counted together."""
    [one] = items(service, summed(term({"seed": 6, "index": 2}, weight=2.5)))
    code = one["latent_b64"]
    values = [*struct.unpack("<4f", base64.b64decode(code))]
    for same in ({"latent": values}, {"latent_b64": code}):
        assert items(service, summed(term(same, {"seed": 6, "index": 2}), term(same))) == [one]
    [spelled] = items(service, summed(term({"z": values}, {"z": values})))
    assert spelled == {**one, "latent_b64": None}


def test_z_has_no_canonical_latent(service: LocalService) -> None:
    """It goes to the graph as it is, whatever the prior, also in neighbours and terms."""
    for model in ("uniform", "sphere", "colour"):
        z = {"z": [0.5, 3, -1, 0.25] + [1] * (3 if model == "colour" else 0)}
        body = {"model": model, "terms": [term(z)], "jitter": {"n": 2}, "include_terms": True}
        data = items(service, body)
        assert [item["latent_b64"] for item in data] == [None] * 4
        [drawn] = service.generate({"model": model, "latents": [z], "output_format": "npy"}).json()["data"]
        assert data[0]["b64_json"] == data[3]["b64_json"] == drawn["b64_json"]


def test_truncation_acts_on_every_image(service: LocalService) -> None:
    body = summed(*FANCY, jitter={"n": 2}, include_terms=True, truncation={"mode": "threshold", "value": 0.4})
    for item in items(service, body):
        again = {"latents": [{"latent_b64": item["latent_b64"]}], "truncation": body["truncation"]}
        [drawn] = service.generate({**again, "class_label": 1, "output_format": "npy"}).json()["data"]
        assert item["b64_json"] == drawn["b64_json"]


THREE_EIGHT = {"three": 0.5, "eight": 0.5}


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ([(1, 3)], 3),
        ([(-2, 3), (1, 8)], 8),
        ([(2, 3), (2, "eight")], THREE_EIGHT),
        ([(1, 3), (-1, 3), (0.2, {"8": 9})], 8),
        ([(0.1, 3), (0.2, 3), (-0.3, 3), (1, 8)], 8),
        ([(0, 3), (1, 8)], 8),
        ([(1, {"3": 1, "8": 1}), (-0.5, "eight")], 3),
        ([(1, {"3": 3, "8": 1}), (1, {"3": 1, "8": 3}), (-1, 0)], THREE_EIGHT),
        ([(10_000, 3), (10_000, 8)], THREE_EIGHT),
    ],
)
def test_labels_of_terms_are_added_clipped_and_normalized(
    service: LocalService, given: list[tuple[float, object]], result: object
) -> None:
    terms = [term({"seed": place}, weight=w, class_label=label) for place, (w, label) in enumerate(given)]
    assert labels(service, {"terms": terms}) == [result]
    assert labels(service, {"terms": terms[::-1]}) == [result]
    assert labels(service, {"terms": terms, "class_label": "two"}) == [2]
    assert labels(service, {"terms": [*terms[:1], term({"seed": 99})], "class_label": 2}) == [2]


def test_neighbours_show_the_results_class_and_terms_their_own(service: LocalService) -> None:
    terms = [term(SEED, class_label=3), term({"seed": 2}, class_label={"8": 1, "9": 1})]
    more = {"jitter": {"n": 2}, "include_terms": True}
    result = {"three": 0.5, "eight": 0.25, "nine": 0.25}
    assert labels(service, {"terms": terms, **more}) == [result] * 3 + [3, {"eight": 0.5, "nine": 0.5}]
    assert labels(service, summed(term(SEED), term({"seed": 2}), **more)) == [1] * 5


def test_equal_requests_draw_equal_images(service: LocalService) -> None:
    body = summed(*FANCY, jitter={"n": 20}, include_terms=True)
    assert items(service, body) == items(service, body)


def test_limits_are_reached(service: LocalService) -> None:
    full = [term(*({"seed": place, "index": one} for one in range(64))) for place in range(64)]
    assert len(items(service, summed(*full, include_terms=True))) == 65


def test_null_is_as_if_absent(service: LocalService) -> None:
    nulls = dict.fromkeys(("truncation", "normalize", "include_terms", "jitter", "model", "layout"))
    reference = {"seed": 1, "index": None, "z": None}
    assert items(service, {**summed(term(reference, class_label=None)), **nulls}) == items(service, summed())
    nothing = {"n": None, "scale": None, "seed": None}
    assert items(service, summed(jitter=nothing)) == items(service, summed(jitter={}))


ZERO, ONE, OPPOSITE = {"latent": [0] * 4}, {"latent": [1, 0, 0, 0]}, {"latent": [-1, 0, 0, 0]}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "#/terms"),
    ({"terms": [], "class_label": 1}, "#/terms"),
    ({"terms": {}, "class_label": 1}, "#/terms"),
    ({"terms": None, "class_label": 1}, "#/terms"),
    (summed(*[term(SEED)] * 65), "#/terms"),
    (summed(term(*[SEED] * 65)), "#/terms/0/of"),
    (summed(term(SEED), term()), "#/terms/1/of"),
    (summed(term(SEED), 3), "#/terms/1"),
    (summed(term(SEED), None), "#/terms/1"),
    (summed({"weight": 1}), "#/terms/0/of"),
    (summed({"of": [SEED]}), "#/terms/0/weight"),
    (summed({"weight": 1, "of": SEED}), "#/terms/0/of"),
    (summed(term(SEED, extra=1)), "#/terms/0/extra"),
    (summed(term(SEED, extra=None)), "#/terms/0/extra"),
    (summed(extra=1), "#/extra"),
    (summed(seed=1), "#/seed"),
    *(
        (summed(term(SEED, weight=wrong)), "#/terms/0/weight")
        for wrong in ("1", True, None, [], {}, 1e308, -1e308, 10**400)
    ),
    *(
        (summed(term(SEED, SEED, wrong)), "#/terms/0/of/2")
        for wrong in (3, None, {}, {"seed": None}, [], SEED | Z)
    ),
    *(
        (summed(term(SEED, SEED, {"seed": wrong})), "#/terms/0/of/2/seed")
        for wrong in ("1", 1.0, True, -1, LAST + 1, 10**400, 1e308, [], {})
    ),
    (summed(term({"seed": 1, "index": -1})), "#/terms/0/of/0/index"),
    (summed(term({"seed": 1, "index": LAST + 1})), "#/terms/0/of/0/index"),
    (summed(term({"seed": 1, "n": 1})), "#/terms/0/of/0/n"),
    (summed(term(SEED), term({"latent": [1, 2, 3]})), "#/terms/1/of/0/latent"),
    (summed(term({"latent": [1, 2, 3, 1e308]})), "#/terms/0/of/0/latent/3"),
    (summed(term({"latent": [1, 2, None, 3]})), "#/terms/0/of/0/latent/2"),
    (summed(term({"latent_b64": 3})), "#/terms/0/of/0/latent_b64"),
    (summed(term({"latent_b64": "AAAA"})), "#/terms/0/of/0/latent_b64"),
    (summed(term(Z), term({"z": [1]})), "#/terms/1/of/0/z"),
    (summed(term(Z), term(SEED)), "#/terms/1/of/0"),
    (summed(term(SEED, Z)), "#/terms/0/of/0"),
    (summed(term(Z), truncation=SCALE_HALF), "#/truncation"),
    (summed(term(Z), normalize="sphere"), "#/normalize"),
    *((summed(normalize=wrong), "#/normalize") for wrong in ("Match", "", 1, True, [], {})),
    *((summed(include_terms=wrong), "#/include_terms") for wrong in (1, "true", [], {})),
    *((summed(jitter=wrong), "#/jitter") for wrong in (3, True, "8", [])),
    *((summed(jitter={"n": wrong}), "#/jitter/n") for wrong in (0, -1, 65, 1.5, "8", True, 10**400, [])),
    *(
        (summed(jitter={"scale": wrong}), "#/jitter/scale")
        for wrong in (0, -0.0, -0.25, 4.001, 1e308, 10**400, "1", True, [])
    ),
    *((summed(jitter={"seed": wrong}), "#/jitter/seed") for wrong in (-1, LAST + 1, 1.0, "0", False)),
    (summed(jitter={"sigma": 1}), "#/jitter/sigma"),
    *((summed(truncation=wrong), "#/truncation") for wrong in (0.7, "threshold", [], True)),
    (summed(truncation={"mode": "threshold", "value": -0.0}), "#/truncation/value"),
    (summed(truncation={"mode": "scale", "value": 1e308}), "#/truncation/value"),
    (summed(truncation={"mode": "psi", "value": 1}), "#/truncation/mode"),
    (summed(truncation=SCALE_HALF, model="sphere", class_label=None), "#/truncation/mode"),
    (summed(output_format="gif"), "#/output_format"),
    (summed(layout="pile"), "#/layout"),
    (summed(quality=0), "#/quality"),
    (summed(fps=12), "#/fps"),
    (summed(class_label=None), "#/class_label"),
    (summed(class_label="random"), "#/class_label"),
    (summed(class_label=10), "#/class_label"),
    (summed(term(SEED), term(SEED, class_label="ten")), "#/terms/1/class_label"),
    (summed(term(SEED, class_label=1), term(SEED), class_label=None), "#/terms/1/class_label"),
    (summed(term(SEED, class_label=3, weight=-1), class_label=None), "#/terms"),
    (summed(term(SEED, class_label=3), term(Z, class_label=3, weight=-1), class_label=None), "#/terms"),
    (summed(model="colour"), "#/class_label"),
    (summed(term(SEED, class_label=1), model="colour", class_label=None), "#/terms/0/class_label"),
    (
        summed(term(SEED), term(SEED, class_label=0), model="vector", class_label=None),
        "#/terms/1/class_label",
    ),
    (summed(term(SEED), term({"seed": 1, "index": 0}, weight=-1)), "#/terms"),
    (summed(term(ONE), term(OPPOSITE), normalize="sphere"), "#/terms"),
    (summed(term(SEED), term(ONE, OPPOSITE), normalize="sphere", include_terms=True), "#/terms/1"),
    (summed(term({"latent": [2, 0, 0, 0]}, weight=10_000), normalize="none"), "#/terms"),
    (summed(term(ZERO), model="sphere", class_label=None), "#/terms"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "pointer"), WRONG)
def test_wrong_values_are_422_and_named(service: LocalService, body: dict[str, Any], pointer: str) -> None:
    response = service.post("/arithmetic", body)
    assert response.status_code == 422, response.text
    faults = response.json()["errors"]
    assert [fault["pointer"] for fault in faults] == [pointer]
    assert faults[0]["detail"].startswith(pointer[2:].replace("/", "."))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ['"terms": [{"weight": %s}]', '"jitter": {"scale": %s}'])
def test_numbers_that_are_none_are_400(service: LocalService, field: str, number: str) -> None:
    response = service.request("POST", "/arithmetic", content=f"{{{field % number}}}".encode())
    assert response.status_code == 400


def test_negative_zeros_are_zeros(service: LocalService) -> None:
    body = summed(term(ONE), term({"latent": [1, -0.0, -0.0, 0]}), term(SEED, weight=-0.0))
    [item] = items(service, body)
    assert struct.unpack("<4f", base64.b64decode(item["latent_b64"])) == (1, 0, 0, 0)
    assert items(service, summed(truncation={"mode": "scale", "value": -0.0}))
