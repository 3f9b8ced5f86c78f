"""What it costs to understand a request, before anything is drawn: microseconds a request, step by step.

*parse* reads the bytes as strict JSON, *read* checks fields against the schema, *place* checks them against
the model, and *negotiate* chooses the answer's form. Medians of several rounds in one process; the last
column is the same in units of one ``json.loads`` of the same bytes, so that machines can be compared.

    .venv/bin/python -m bench.request_cost
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from service.generation.arithmetic import place_arithmetic, read_arithmetic
from service.generation.interpolation import place_interpolate, read_interpolate
from service.generation.sampling import place_generate, read_generate
from service.http.body import parse_json
from service.http.negotiation import negotiate
from service.runtime import Runtime
from service.settings import load_settings

RESULTS = Path(__file__).parent / "results"
_ROUNDS = 9
_CALLS = 1000
_SUM = [{"weight": weight, "of": [{"seed": 1}, {"seed": 2}, {"seed": 3}]} for weight in (1, -1, 1)]
_CASES = {
    "one image, no class given": (read_generate, place_generate, {}),
    "one image of a class": (read_generate, place_generate, {"seed": 1, "class_label": 7}),
    "every field": (
        read_generate,
        place_generate,
        {
            "model": "mnist", "n": 1, "seed": 42, "index": 0, "class_label": {"3": 0.6, "eight": 0.4},
            "truncation": {"mode": "threshold", "value": 1.0}, "output_format": "png", "quality": 90,
            "layout": "list", "return_latents": False,
        },
    ),
    "64 images of all classes": (
        read_generate,
        place_generate,
        {"n": 64, "seed": 1, "class_label": "balanced"},
    ),
    "a - b + c, three latents each": (read_arithmetic, place_arithmetic, {"terms": _SUM, "class_label": 2}),
    "a path of 8 images": (
        read_interpolate,
        place_interpolate,
        {"keyframes": [{"latent": {"seed": seed}, "class_label": seed} for seed in (1, 2)]},
    ),
}  # fmt: skip


def microseconds(call: Callable[[], object]) -> float:
    """Return the median time of one call."""
    rounds = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        for _ in range(_CALLS):
            call()
        rounds.append((time.perf_counter() - begun) / _CALLS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Measure every case with the shipped models; write the figures to ``bench/results/``."""
    repository = Runtime(load_settings({"FORGER_THREADS": "1"})).repository
    figures = {}
    print("| request | parse | read | place | negotiate | sum, µs | × json.loads |")
    print("|---|---|---|---|---|---|---|")
    for name, (read, place, document) in _CASES.items():
        body = json.dumps(document).encode()
        request = read(document, repository)
        order = place(request, repository)
        steps = {
            "parse": microseconds(lambda body=body: parse_json(body)),
            "read": microseconds(lambda read=read, document=document: read(document, repository)),
            "place": microseconds(lambda place=place, request=request: place(request, repository)),
            "negotiate": microseconds(lambda order=order: negotiate("image/png;q=0.9, */*;q=0.1", order)),
        }
        total, unit = sum(steps.values()), microseconds(lambda body=body: json.loads(body))
        figures[name] = {**steps, "total": total, "ratio_to_json_loads": total / unit}
        print(
            f"| {name} | " + " | ".join(f"{one:.1f}" for one in [*steps.values(), total, total / unit]) + " |"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "request-cost.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
