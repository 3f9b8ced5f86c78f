"""Whatever is sent that can be made of the API's document, every answer is one that the document allows."""

from __future__ import annotations

import pytest

from tests.fakes.server import ServerProcess
from tests.fuzz.campaign import Effort, carry_out


@pytest.mark.slow
def test_every_answer_is_in_the_document(server: ServerProcess) -> None:
    """Status, headers, media type and JSON; no 5xx but the 504 of who asks for it; wrong values are refused.

    `make fuzz` does the same for longer, with the shipped models.
    """
    report = carry_out(server.url, 1, Effort(examples=10, drawing_examples=30))
    assert report.is_sound, "\n".join(report.lines())
    reached = {operation for operation, status in report.answers if status == 200}
    assert len(reached) == 16
    assert report.requests > 1000
