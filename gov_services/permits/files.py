"""Where contents of documents lie: sealed boxes in files, one a document. It can open none of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import ClassVar, Protocol
from uuid import UUID

from gov_services.crypto.columns import Sealed
from gov_services.kit.errors import Unavailable


class FilesUnavailable(Unavailable):
    """The disk does not take or give the file; nothing was changed."""

    code = "SERVICE_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "服务暂时不可用,请稍后再试。",
        "en": "The service is unavailable for the moment. Please try again.",
    }


class DocumentFiles(Protocol):
    """Keeps sealed contents by document id."""

    async def store(self, document_id: UUID, content: Sealed) -> None:
        """Keep `content`, durably; what was kept under that id is replaced. Raises FilesUnavailable."""
        ...

    async def load(self, document_id: UUID) -> Sealed:
        """What was kept. Raises FilesUnavailable."""
        ...


class LocalDocumentFiles:
    """Files under one directory that only we may enter: `<last two digits>/<document id>`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def store(self, document_id: UUID, content: Sealed) -> None:
        """See DocumentFiles."""
        try:
            await asyncio.to_thread(self._write, self._path(document_id), content.box)
        except OSError as away:
            raise FilesUnavailable from away

    async def load(self, document_id: UUID) -> Sealed:
        """See DocumentFiles."""
        try:
            return Sealed(await asyncio.to_thread(self._path(document_id).read_bytes))
        except OSError as away:
            raise FilesUnavailable from away

    def _path(self, document_id: UUID) -> Path:
        # The first digits of a UUIDv7 are the time; the last are spread evenly.
        return self._directory / document_id.hex[-2:] / document_id.hex

    def _write(self, path: Path, box: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(box)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
