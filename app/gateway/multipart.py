"""A file as multipart/form-data, the form that 8x8 takes files in (RFC 7578)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be uploaded."""

    name: str
    type: str
    content: bytes


def multipart(file: Upload) -> tuple[bytes, bytes]:
    """The request's content with the parts `authorType` and `attachment`, and its media type."""
    boundary = secrets.token_hex(16).encode()  # so long that no file holds it by chance
    name = file.name
    for sign, escaped in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):  # as browsers do
        name = name.replace(sign, escaped)
    kind = file.type if file.type.isascii() and file.type.isprintable() else "application/octet-stream"
    content = b"".join(
        (
            b"--%s\r\n" % boundary,
            b'Content-Disposition: form-data; name="authorType"\r\n\r\nbot\r\n',
            b"--%s\r\n" % boundary,
            b'Content-Disposition: form-data; name="attachment"; filename="%s"\r\n' % name.encode(),
            b"Content-Type: %s\r\n\r\n" % kind.encode(),
            file.content,
            b"\r\n--%s--\r\n" % boundary,
        )
    )
    return content, b"multipart/form-data; boundary=%s" % boundary
