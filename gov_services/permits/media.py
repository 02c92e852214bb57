"""What kind of file bytes are, by how they begin. A name or a header that a client sends says nothing here. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gov_services.kit.errors import UserError

LARGEST_DOCUMENT_BYTES = 5 * 1024 * 1024
SIGNATURES: Mapping[str, bytes] = {
    "application/pdf": b"%PDF-",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}


class DocumentTooLarge(UserError):
    """The file is empty or over the limit."""

    code = "DOCUMENT_TOO_LARGE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "文件为空或超过 {most_mb} MB。",
        "en": "The file is empty or larger than {most_mb} MB.",
    }


class DocumentTypeRefused(UserError):
    """The file is no PDF, PNG or JPEG."""

    code = "DOCUMENT_TYPE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "仅接受 PDF、PNG 或 JPEG 文件。",
        "en": "Only PDF, PNG and JPEG files are taken.",
    }


def media_type_of(content: bytes) -> str:
    """The media type of a document. Raises DocumentTooLarge, DocumentTypeRefused."""
    if not 0 < len(content) <= LARGEST_DOCUMENT_BYTES:
        raise DocumentTooLarge(most_mb=LARGEST_DOCUMENT_BYTES // (1024 * 1024))
    for media_type, signature in SIGNATURES.items():
        if content.startswith(signature):
            return media_type
    raise DocumentTypeRefused
