"""POST /interpolate: which images a path has, what each is said to be, and what is refused, by name.

The numbers themselves are computed anew in ``test_formulas``.
"""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.site import LocalService, local_service

LAST = 2**53 - 1
METHODS = ["slerp", "match", "linear", "cubic"]
Z = {"z": [1, 2, 3, 4]}
NEAR = {"mode": "threshold", "value": 0.5}
FAR = {"mode": "threshold", "value": 2}


def at(latent: object = None, **more: object) -> dict[str, Any]:
    """Return a keyframe, of seed 1 if nothing else is said."""
    return {"latent": {"seed": 1} if latent is None else latent, **more}


def path(*keyframes: object, **more: object) -> dict[str, Any]:
    return {"keyframes": [*keyframes], **more}


def seeds(*numbers: int, **more: object) -> dict[str, Any]:
    return path(*(at({"seed": number}) for number in numbers), **more)


def frames(service: LocalService, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = service.post("/interpolate", {"output_format": "npy", "return_latents": True, **body})
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert {item["role"] for item in data} == {"frame"}
    return data


def generated(service: LocalService, latent: dict[str, Any], **body: object) -> str:
    """Return the image that /generate draws of a latent."""
    asked = {"output_format": "npy", "latents": [latent], **body}
    response = service.generate(asked)
    assert response.status_code == 200, response.text
    return response.json()["data"][0]["b64_json"]


def values(item: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(item["latent_b64"]), "<f4")


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("steps", [2, 3, 8])
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("model", ["grey", "colour", "uniform", "sphere"])
def test_a_path_has_the_documented_frames(
    service: LocalService, model: str, count: int, steps: int, *, loop: bool
) -> None:
    """Those that are keyframes tell their seed and index, and show its very image."""
    keyframes = [at({"seed": number, "index": 10 * number}) for number in range(count)]
    data = frames(service, path(*keyframes, model=model, steps=steps, loop=loop))
    assert len(data) == (count * (steps - 1) if loop else (count - 1) * (steps - 1) + 1)
    for place, item in enumerate(data):
        number, between = divmod(place, steps - 1)
        origin = (None, None) if between else (number, 10 * number)
        assert (item["seed"], item["index"]) == origin
        if not between:
            reference = keyframes[number]["latent"]
            assert item["b64_json"] == generated(service, reference, model=model)


def test_the_defaults_are_an_open_slerp_of_eight_steps(service: LocalService) -> None:
    plain = frames(service, seeds(1, 2))
    assert len(plain) == 8
    stated = {"method": "slerp", "steps": 8, "loop": False, "fps": 12}
    assert frames(service, seeds(1, 2, **stated)) == plain
    assert frames(service, seeds(1, 2, **dict.fromkeys(stated))) == plain
    nulls = {"class_label": None, "truncation": None}
    reference = {"seed": 1, "index": None, "latent_b64": None}
    assert frames(service, path(at(reference, **nulls), at({"seed": 2}, **nulls))) == plain


@pytest.mark.parametrize("method", METHODS)
def test_methods_part_between_keyframes_only(service: LocalService, method: str) -> None:
    plain = frames(service, seeds(1, 2, 3, steps=4, method="slerp"))
    other = frames(service, seeds(1, 2, 3, steps=4, method=method))
    assert other[::3] == plain[::3]
    assert (other == plain) == (method == "slerp")
    looped = frames(service, seeds(1, 2, 3, steps=4, method=method, loop=True))
    assert looped[::3] == plain[::3]
    assert (looped[:7] == other) == (method != "cubic")


@pytest.mark.parametrize("method", METHODS)
def test_a_path_that_stands_still_is_one_image(service: LocalService, method: str) -> None:
    """Whichever way its latent is named."""
    [first, *_] = frames(service, seeds(7, 8))
    same = [{"seed": 7}, {"latent": values(first).tolist()}, {"latent_b64": first["latent_b64"]}]
    keyframes = [at(latent, class_label=first["class_label"]["index"]) for latent in same]
    data = frames(service, path(*keyframes, method=method, steps=5))
    assert {item["b64_json"] for item in data} == {first["b64_json"]}
    assert [item["seed"] for item in data] == [7] + [None] * 8


@pytest.mark.parametrize("method", METHODS)
def test_z_goes_to_the_graph_as_it_is(service: LocalService, method: str) -> None:
    ends = [{"z": [0.5, 3, -1, 0.25]}, {"z": [1, 1, 1, -2]}]
    data = frames(service, path(*map(at, ends), model="uniform", method=method, steps=3))
    assert [item["latent_b64"] for item in data] == [None] * 3
    for item, end in zip(data[::2], ends, strict=True):
        assert item["b64_json"] == generated(service, end, model="uniform")
    if method == "linear":
        assert data[1]["b64_json"] == generated(service, {"z": [0.75, 2, 0, -0.875]}, model="uniform")


def test_without_labels_each_seed_shows_its_own_random_class(service: LocalService) -> None:
    origins = [{"seed": 3}, {"seed": 5, "index": 2}, {"seed": 4}]
    drawn = [service.generate(one | {"n": 1}).json()["data"][0]["class_label"] for one in origins]
    assert len({label["name"] for label in drawn}) == 3
    data = frames(service, path(*map(at, origins), steps=3))
    assert [item["class_label"] for item in data[::2]] == drawn
    for between, first, second in ((data[1], *drawn[:2]), (data[3], *drawn[1:])):
        assert between["class_label"]["weights"] == {first["name"]: 0.5, second["name"]: 0.5}
    random = frames(service, path(*(at(one, class_label="random") for one in origins), steps=3))
    assert random == data


def test_class_weights_move_linearly_and_back_to_the_start(service: LocalService) -> None:
    labels = ["three", {"three": 1, "8": 3}, 8, 8]
    keyframes = [at({"seed": place}, class_label=label) for place, label in enumerate(labels)]
    told = [item["class_label"] for item in frames(service, path(*keyframes, steps=5, loop=True))]
    eights = [0, 3 / 16, 6 / 16, 9 / 16, 3 / 4, 13 / 16, 7 / 8, 15 / 16, 1, 1, 1, 1, 1, 3 / 4, 1 / 2, 1 / 4]
    for label, eight in zip(told, eights, strict=True):
        if 0 < eight < 1:
            weights = {"three": pytest.approx(1 - eight, rel=1e-12), "eight": pytest.approx(eight, rel=1e-12)}
            assert label == {"index": None, "name": None, "weights": weights}
        else:
            assert (label["name"], label["weights"]) == ("eight" if eight else "three", None)


def test_balanced_takes_the_index_of_a_keyframe(service: LocalService) -> None:
    ends = [at({"seed": 1, "index": index}, class_label="balanced") for index in (13, 29)]
    told = [item["class_label"]["index"] for item in frames(service, path(*ends, steps=2))]
    assert told == [3, 9]


@pytest.mark.parametrize("mode", ["threshold", "scale"])
def test_keyframes_show_their_own_truncation(service: LocalService, mode: str) -> None:
    cuts = [{"mode": mode, "value": value} for value in (0.4, 2, 1)]
    keyframes = [at({"seed": 3}, class_label=2, truncation=cut) for cut in cuts]
    data = frames(service, path(*keyframes, steps=3, loop=True))
    moving = [0.4, 1.2, 2, 1.5, 1, 0.7]
    for item, value in zip(data, moving, strict=True):
        cut = {"mode": mode, "value": value}
        assert item["b64_json"] == generated(service, {"seed": 3}, class_label=2, truncation=cut)


def test_equal_requests_draw_equal_images(service: LocalService) -> None:
    body = path(
        at(truncation=NEAR), at({"seed": 2}, truncation=FAR), at({"seed": 9}, truncation=NEAR), steps=40
    )
    assert frames(service, body) == frames(service, body)


@pytest.mark.parametrize("method", METHODS[1:])
def test_vectors_of_one_dimension_have_every_method_but_slerp(service: LocalService, method: str) -> None:
    body = seeds(1, 2, 3, model="vector", method=method, steps=4, output_format="json")
    data = frames(service, body)
    assert len(data) == 7
    alone = service.generate({"model": "vector", "seed": 2}).json()["data"]
    assert data[3]["values"] == alone[0]["values"]


def test_limits_are_reached(service: LocalService, models_dir: Path) -> None:
    assert len(frames(service, seeds(*range(64), steps=9))) == 505
    assert len(frames(service, seeds(1, 2, steps=512))) == 512
    assert len(frames(service, seeds(1, 2, 3, 4, steps=129, loop=True))) == 512
    assert len(frames(service, path(at({"seed": LAST, "index": LAST}), at(), steps=2))) == 2
    with local_service(models_dir, default_model="grey", max_frames=9, max_images=2) as small:
        assert len(frames(small, seeds(1, 2, 3, steps=5))) == 9
        assert small.post("/interpolate", seeds(1, 2, steps=10)).status_code == 422


ONE, OPPOSITE, ZERO = {"latent": [1, 2, 0, 0]}, {"latent": [-2, -4, 0, 0]}, {"latent": [0, -0.0, 0, 0]}
LABELLED = {"class_label": 1}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "#/keyframes"),
    *(({"keyframes": wrong}, "#/keyframes") for wrong in (None, {}, "x", [], [at()])),
    (seeds(*range(65)), "#/keyframes"),
    *((path(at(), wrong), "#/keyframes/1") for wrong in (None, 3, [], "seed")),
    (path(at(), {}), "#/keyframes/1/latent"),
    (path(at(), {"latent": None}), "#/keyframes/1/latent"),
    *((path(at(), at(wrong)), "#/keyframes/1/latent") for wrong in ([1, 2, 3, 4], 3, {}, {"seed": None})),
    (path(at(), at({"seed": 1} | Z)), "#/keyframes/1/latent"),
    *(
        (path(at(), at({"seed": wrong})), "#/keyframes/1/latent/seed")
        for wrong in ("1", 1.0, True, -1, LAST + 1, 10**400, 1e308, [])
    ),
    (path(at(), at({"seed": 1, "index": LAST + 1})), "#/keyframes/1/latent/index"),
    (path(at(), at({"seed": 1, "extra": None})), "#/keyframes/1/latent/extra"),
    (path(at(), at({"latent": [1, 2, 3]}), model="sphere"), "#/keyframes/1/latent/latent"),
    (path(at(), at({"latent": [1, 2, 3, -1e308]})), "#/keyframes/1/latent/latent/3"),
    (path(at(), at({"latent_b64": "AAA"}), model="sphere"), "#/keyframes/1/latent/latent_b64"),
    (path(at(extra=1), at()), "#/keyframes/0/extra"),
    (seeds(1, 2, extra=1), "#/extra"),
    (seeds(1, 2, class_label=1), "#/class_label"),
    (seeds(1, 2, truncation=NEAR), "#/truncation"),
    *((seeds(1, 2, steps=wrong), "#/steps") for wrong in (1, 0, -8, 1.5, 8.0, "8", True, [], 10**400, 1e308)),
    (seeds(1, 2, steps=513), "#/steps"),
    (seeds(1, 2, 3, 4, steps=130, loop=True), "#/steps"),
    *((seeds(1, 2, loop=wrong), "#/loop") for wrong in (1, "true", [], 0)),
    *((seeds(1, 2, method=wrong), "#/method") for wrong in ("Slerp", "", 1, [], True)),
    *((seeds(1, 2, fps=wrong), "#/fps") for wrong in (0, 61, 1.5, "12", True, 10**400)),
    (seeds(1, 2, output_format="json"), "#/output_format"),
    (path(at(truncation=NEAR), at()), "#/keyframes/1/truncation"),
    (path(at(), at(truncation=NEAR), at()), "#/keyframes/0/truncation"),
    *(
        (path(at(truncation=NEAR), at(truncation=cut)), "#/keyframes/1/truncation")
        for cut in (0.5, [], "scale")
    ),
    *(
        (path(at(truncation=NEAR), at(truncation=NEAR | {"value": wrong})), "#/keyframes/1/truncation/value")
        for wrong in (0, -0.0, 5.001, -1, 1e308, 10**400, "1", True, None, [])
    ),
    (path(at(truncation=NEAR), at(truncation={"mode": "threshold"})), "#/keyframes/1/truncation/value"),
    (path(at(truncation=NEAR), at(truncation=NEAR | {"mode": "psi"})), "#/keyframes/1/truncation/mode"),
    (path(at(truncation=NEAR), at(truncation=NEAR | {"mode": "scale"})), "#/keyframes/1/truncation/mode"),
    (path(at(truncation=NEAR), at(truncation=NEAR | {"x": 1})), "#/keyframes/1/truncation/x"),
    (path(at(truncation=NEAR), at(truncation=FAR), model="uniform"), "#/keyframes/0/truncation/mode"),
    (path(at(truncation=NEAR), at(truncation=FAR), model="sphere"), "#/keyframes/0/truncation/mode"),
    (path(at(class_label=1), at()), "#/keyframes/1/class_label"),
    (path(at(), at(), at(class_label=1)), "#/keyframes/0/class_label"),
    *(
        (path(at(**LABELLED), at(class_label=wrong)), "#/keyframes/1/class_label")
        for wrong in (10, -1, 1e308, 10**400, "x", [1], {}, True)
    ),
    (path(at(**LABELLED), at(class_label={"3": -1})), "#/keyframes/1/class_label/3"),
    (path(at(), at(ONE)), "#/keyframes/1/class_label"),
    (path(at(class_label=1), at(ONE, class_label="random")), "#/keyframes/1/class_label"),
    (path(at(), at(class_label=1), model="colour"), "#/keyframes/1/class_label"),
    (path(at(Z, **LABELLED), at(**LABELLED)), "#/keyframes/1/latent"),
    (path(at(**LABELLED), at(Z, **LABELLED)), "#/keyframes/0/latent"),
    (path(at(Z, truncation=NEAR, **LABELLED), at(Z, truncation=FAR, **LABELLED)), "#/keyframes/0/truncation"),
    (path(at(ONE), at(OPPOSITE), model="uniform"), "#/keyframes/1/latent"),
    (path(at(), at(ONE), at(), at(OPPOSITE), at(ONE), model="uniform"), "#/keyframes/4/latent"),
    (path(at(ONE), at(), at(OPPOSITE), loop=True, model="uniform"), "#/keyframes/0/latent"),
    (path(at(), at(ZERO), model="uniform"), "#/keyframes/1/latent"),
    (path(at(ZERO), at(), model="uniform"), "#/keyframes/0/latent"),
    (seeds(1, 2, model="vector"), "#/method"),
    (path(at(), *[at({"latent": [9e3] * 4})] * 2, at(), model="uniform", method="cubic"), "#/keyframes"),
    (path(at(ONE), at({"latent": [-1, -2, 0, 0]}), model="sphere", method="linear", steps=3), "#/keyframes"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "pointer"), WRONG)
def test_wrong_values_are_422_and_named(service: LocalService, body: dict[str, Any], pointer: str) -> None:
    response = service.post("/interpolate", body)
    assert response.status_code == 422, response.text
    faults = response.json()["errors"]
    assert [fault["pointer"] for fault in faults] == [pointer]
    assert faults[0]["detail"].startswith(pointer[2:].replace("/", "."))


@pytest.mark.parametrize("method", METHODS[1:])
def test_other_methods_go_between_opposite_latents(service: LocalService, method: str) -> None:
    body = path(at(ONE), at({"latent": [-1, -2, 0, 0]}), model="uniform", method=method, steps=3)
    assert struct.unpack("<4f", base64.b64decode(frames(service, body)[1]["latent_b64"])) == (0, 0, 0, 0)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ['"steps": %s', '"keyframes": [{"latent": {"latent": [%s]}}]'])
def test_numbers_that_are_none_are_400(service: LocalService, field: str, number: str) -> None:
    response = service.request("POST", "/interpolate", content=f"{{{field % number}}}".encode())
    assert response.status_code == 400


@pytest.mark.parametrize("partner", [4.999999999999999, 4.999999999999911])
def test_no_truncation_between_two_leads_past_them(service: LocalService, partner: float) -> None:
    """However the numbers are rounded: 5 is the most that is allowed."""
    keyframes = [
        {"latent": {"seed": seed}, "truncation": {"mode": "threshold", "value": value}}
        for seed, value in ((1, 5.0), (2, partner))
    ]
    response = service.post("/interpolate", {"keyframes": keyframes, "steps": 60})
    assert response.status_code == 200
