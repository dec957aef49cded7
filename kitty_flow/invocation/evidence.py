"""Promoting something that was seen to evidence of an invocation: the second tier of the trail."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kitty_flow.effects import replace_file
from kitty_flow.errors import UsageError
from kitty_flow.flow.project import Project
from kitty_flow.invocation.policy import refuse_evidence
from kitty_flow.invocation.runtime import keep_evidence

if TYPE_CHECKING:
    from kitty_flow.invocation.record import InvocationRecord

__all__ = ["EvidenceArtifact", "promote_to_evidence"]


@dataclass(frozen=True)
class EvidenceArtifact:
    """Evidence that was kept: the files of the copy, the digest of the content, and the record that names it.

    `is_recorded` is false where `dir` is in no repository: then there is the copy only.
    """

    path: Path
    record_path: Path
    sha256: str
    record: InvocationRecord
    is_recorded: bool


def promote_to_evidence(record: InvocationRecord, dir: Path, content: str | bytes) -> EvidenceArtifact:
    """Keep content as evidence: as an annotation of the record, with the content in the log of the repository around
    `dir`; and, for people, as ``dir/<invocation-id>/evidence.md`` beside the record, ``record.json``.

    Raises:
        RefusedError: EVIDENCE_NOT_ALLOWED, the mode of work may leave none; nothing was written.
        UsageError, ConflictError, LedgerError: it could not be recorded; no copy was written.
        OSError: it is on record, and the copy could not be written.
    """
    refuse_evidence(record)
    data = content.encode("utf-8") if isinstance(content, str) else content
    project = _project_around(dir)
    after = record if project is None else keep_evidence(project, record.invocation_id, data)
    folder = dir / record.invocation_id
    path, record_path = folder / "evidence.md", folder / "record.json"
    replace_file(path, data, "evidence")
    replace_file(record_path, (json.dumps(after.as_data(), indent=2) + "\n").encode(), "evidence")
    return EvidenceArtifact(path, record_path, hashlib.sha256(data).hexdigest(), after, project is not None)


def _project_around(folder: Path) -> Project | None:
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
    try:
        return Project.discover(there)
    except UsageError as error:
        if error.code == "NO_REPOSITORY":
            return None
        raise
