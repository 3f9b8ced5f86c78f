"""A reader of the API's document, who knows nothing else: finds what in an answer it does not allow."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from tests.fakes.site import LocalService

Json = dict[str, Any]

_LINES = ("FileFacts", "GridFacts", "AnimationFacts", "HistogramFacts", "VectorItem")


@dataclass(frozen=True)
class Reader:
    """Reads one document."""

    document: Json

    @classmethod
    def of(cls, site: LocalService) -> Reader:
        answer = site.get("/openapi.json")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        return cls(answer.json())

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Yield every path and method with what is said of them."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield path, method, operation

    def bodies(self) -> Iterator[tuple[str, str, Json]]:
        """Yield every example of a body, with its path and name."""
        for path, _, operation in self.operations():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for name, example in content["examples"].items():
                    yield path, name, example["value"]

    def resolved(self, part: Json) -> Json:
        if "$ref" not in part:
            return part
        found = self.document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return found

    def faults(self, schema: Json, value: object) -> list[str]:
        """Return what a schema does not allow in a value."""
        whole = {**schema, "components": self.document["components"]}
        formats = Draft202012Validator.FORMAT_CHECKER
        errors = Draft202012Validator(whole, format_checker=formats).iter_errors(value)
        return [f"{error.json_path}: {error.message[:300]}" for error in errors]

    def refused(self, path: str, method: str, answer: httpx.Response) -> list[str]:
        """Return what the document does not allow in an answer: status, headers, media type, content."""
        responses = self.document["paths"][path][method]["responses"]
        if str(answer.status_code) not in responses:
            return [f"status {answer.status_code}"]
        response = self.resolved(responses[str(answer.status_code)])
        found = list(self._header_faults(response["headers"], answer))
        if "content" not in response:
            return found + (["a body"] if answer.content else [])
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if media_type not in response["content"]:
            return [*found, f"media type {media_type}"]
        content = response["content"][media_type]
        if media_type.endswith("json"):
            found += self.faults(content["schema"], answer.json())
            found += self._kind_faults(content, answer) if "problem" in media_type else []
        elif media_type == "application/zip":
            found += self._archive_faults(answer.content)
        elif media_type == "text/event-stream":
            found += self.stream_faults(answer.text)
        return found

    def _header_faults(self, described: Json, answer: httpx.Response) -> Iterator[str]:
        known = {name.lower() for name in described} | {"content-type", "content-length"}
        yield from (f"header {name}" for name in answer.headers if name not in known)
        for name, part in described.items():
            header = self.resolved(part)
            if name in answer.headers:
                text = answer.headers[name]
                value = int(text) if header["schema"]["type"] == "integer" else text
                yield from (f"{name}: {fault}" for fault in self.faults(header["schema"], value))
            elif header.get("required"):
                yield f"no {name}"

    def _kind_faults(self, content: Json, answer: httpx.Response) -> list[str]:
        """Return what is wrong with a problem that is of none of the kinds that the examples show."""
        kinds = {
            (example["value"]["type"], example["value"]["status"]) for example in content["examples"].values()
        }
        problem = answer.json()
        told = (problem["type"], answer.status_code)
        return [] if told in kinds and problem["status"] == told[1] else [f"a problem {told}"]

    def _archive_faults(self, content: bytes) -> list[str]:
        schema = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in _LINES]}
        lines = zipfile.ZipFile(io.BytesIO(content)).read("manifest.jsonl").splitlines()
        assert lines
        return [fault for line in lines for fault in self.faults(schema, json.loads(line))]

    def stream_faults(self, text: str) -> list[str]:
        """Return what is wrong with a stream of events."""
        *events, rest = text.split("\n\n")
        spelled = [re.fullmatch("event: ([a-z]+)\ndata: (.*)", one) for one in events]
        if rest or not all(spelled):
            return ["these are no events"]
        named = [{"event": one[1], "data": one[2]} for one in spelled if one]
        ends = [event for event in named if event["event"] != "image"]
        found = [] if ends == named[-1:] else [f"ends {ends}"]
        return found + [fault for event in named for fault in self._event_faults(event)]

    def _event_faults(self, event: Json) -> list[str]:
        schemas = self.document["components"]["schemas"]
        data = schemas[f"{event['event'].title()}Event"]["properties"]["data"]
        found = self.faults({"$ref": "#/components/schemas/StreamEvent"}, event)
        return found + self.faults(data["contentSchema"], json.loads(event["data"]))
