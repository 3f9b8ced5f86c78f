"""What all sinks have in common."""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from forger.bulk.files import PARTIAL, Lock, sha256_of, whole_file
from forger.bulk.job import Job
from forger.bulk.pieces import NO_CLASS, Piece
from forger.errors import Misuse

MANIFEST = "forger.json"
_MISSING = ".missing.json"


class Sink(ABC):
    """Files at one place. Segments are written in any order; ``finish`` makes of them what was asked for.

    Whatever :meth:`has` tells is done and whole, after any kill.
    """

    kind: ClassVar[str]
    job: Job
    """What is written, once :meth:`begin` was called."""
    wants_files: ClassVar[bool] = True
    """Whether images come as PNG files, and not as arrays."""
    takes_vectors: ClassVar[bool] = False

    def __init__(self, place: Path, state: Path, manifest: Path) -> None:
        """``state`` is the folder of what is not finished, ``manifest`` the file that tells what is."""
        self.place = place
        self.state = state
        self.manifest = manifest
        self._lock = Lock(state / "lock")

    def begin(self, job: Job) -> None:
        """Make room for a job, or take up the one that lies there; removes what a kill left half-written.

        Raises ``Misuse`` if another run writes there.
        """
        self.job = job
        self.state.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        for folder in {self.state, *self.folders()}:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"*{PARTIAL}"):
                left.unlink()
        self._write_json(self.state / "job.json", job.document())

    def begun(self) -> Job | None:
        """Return the unfinished job that lies there, if one does."""
        return self._job_in(self.state / "job.json", lambda document: document)

    def finished(self) -> Job | None:
        """Return the finished job that lies there, if one does."""
        return self._job_in(self.manifest, lambda document: document["job"])

    def folders(self) -> Sequence[Path]:
        """Return the folders that the job's files go to."""
        return ()

    def keep(self, segment: int, pieces: Sequence[Piece], missing: Mapping[int, str]) -> None:
        """Write a segment that is complete but for what is missing; that is told first."""
        told = self.state / f"{segment:06d}{_MISSING}"
        if missing:
            self._write_json(told, {str(index): reason for index, reason in missing.items()})
        else:
            told.unlink(missing_ok=True)
        self.write(segment, pieces)

    def missing(self) -> dict[int, str]:
        """Return why images were left out of segments that are written, by their index."""
        found = {
            int(index): reason
            for told in self.state.glob(f"*{_MISSING}")
            if self.has(int(told.name.removesuffix(_MISSING)))
            for index, reason in json.loads(told.read_text("utf-8")).items()
        }
        return dict(sorted(found.items()))

    def missing_in_manifest(self) -> dict[int, str]:
        """Return why images were left out of a finished run, by their index."""
        document = json.loads(self.manifest.read_text("utf-8"))
        return {int(index): reason for index, reason in document.get("missing", {}).items()}

    @abstractmethod
    def has(self, segment: int) -> bool:
        """Tell whether a segment is written."""

    @abstractmethod
    def write(self, segment: int, pieces: Sequence[Piece]) -> None:
        """Write a segment."""

    @abstractmethod
    def assemble(self) -> Sequence[Path]:
        """Make of all segments what was asked for; return the files whose digests the manifest is to hold."""

    def finish(self) -> None:
        """Assemble the segments, write the manifest, and leave nothing else."""
        files = self.assemble()
        digests = {file.relative_to(self.manifest.parent).as_posix(): sha256_of(file) for file in files}
        document: dict[str, Any] = {"format": self.kind, "job": self.job.document(), "files": digests}
        if missing := self.missing():
            document["missing"] = missing
        self._write_json(self.manifest, document)
        self.clear()

    def clear(self) -> None:
        """Remove what only an unfinished run needs; a kill may have come before that."""
        shutil.rmtree(self.state, ignore_errors=True)

    def abandon(self) -> None:
        """Leave nothing of a run that failed before it had written anything."""
        if any(self.has(segment) for segment in range(self.job.segments)):
            return
        self.clear()
        for folder in self.folders():
            with suppress(OSError):
                folder.rmdir()

    def close(self) -> None:
        """Let another run write there."""
        self._lock.release()

    def _job_in(self, file: Path, part: Any) -> Job | None:  # noqa: ANN401 - a function of a document
        try:
            return Job.read(part(json.loads(file.read_text("utf-8"))))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Misuse(f"{file} is not what a bulk run wrote: remove it, or write elsewhere") from error

    def _write_json(self, file: Path, document: Mapping[str, Any]) -> None:
        with whole_file(file) as written:
            written.write(json.dumps(document, indent=1).encode() + b"\n")


def class_index(label: Mapping[str, Any] | None) -> int:
    """Return the index of the class that the service tells of an image, or ``NO_CLASS``."""
    return NO_CLASS if label is None or label["index"] is None else int(label["index"])
