"""The process in which a model is loaded for the first time, as that may be its end.

What a graph may hold is audited, but kernels are many, and do not check all that they are told: some graphs
that look sound end the process that loads them. This one serves nobody. It is told of directories on its
standard input, a line each, and says of each on its standard output which content it loaded, and how it may
be run, or why not.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.layout import ModelDirectory
from service.backend import rows_per_run
from service.engine import Engine, Proof, document_of
from service.errors import UnusableModel
from service.models.graph_file import audited
from service.models.loading import proved_session, quickest_session
from service.models.places import sentence
from service.models.variant import chosen_variant
from service.models.verification import Verified, verified

_GIBYTE = 2**30
_OWN_BYTES = 2 * _GIBYTE
"""Of address space that the libraries and threads take, nearly all of it never touched."""
_COPIES = 8
"""Of a file, while it becomes sessions."""
_ROWS_OF_OTHERS = 2
"""In a run, where the CPU stands in for a GPU and would take long over more."""


def main() -> None:
    """Try directory after directory; the argument says how they will be run."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not be taken for this process
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    asked = json.loads(sys.argv[1])
    engine = Engine("cpu", asked["threads"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        root, name, version = json.loads(line)
        said.write(json.dumps(_tried(ModelDirectory(Path(root), name, version), asked, engine)) + "\n")
        said.flush()


def _tried(directory: ModelDirectory, asked: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    told: dict[str, Any] = {"digest": None, "fault": None, "proof": None}
    try:
        content = verified(directory, asked["budget_bytes"])
        told["digest"] = content.digest
        sizes = sum(len(file) for file in content.files.values())
        _limit_memory(_OWN_BYTES + 2 * asked["budget_bytes"] + _COPIES * sizes)
        told["proof"] = document_of(_try(content, asked, engine))
    except UnusableModel as error:
        told["fault"] = str(error)
    except Exception as error:  # noqa: BLE001 - the fault of the directory, whatever it is
        told["fault"] = f"it cannot be loaded: {sentence(error)}"
    return told


def _try(content: Verified, asked: Mapping[str, Any], engine: Engine) -> Proof:
    manifest = content.manifest
    max_batch = rows_per_run(manifest.output, asked["max_batch"])
    variant = chosen_variant(manifest, asked["precision"], asked["device"])
    model = audited(content.files[variant.file], manifest, max_batch, asked["budget_bytes"])
    if asked["device"] == "cpu":
        most_bytes = asked["budget_bytes"]
        return quickest_session(model, manifest, engine, max_batch, variant, most_bytes).proof
    rows = min(max_batch, _ROWS_OF_OTHERS)
    return proved_session(model, manifest, engine, rows, variant).proof


def _limit_memory(most: int) -> None:
    """Let this process have so much memory, or less if somebody has limited it already."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


if __name__ == "__main__":
    main()
