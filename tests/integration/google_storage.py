"""Google Cloud Storage as obstore speaks to it: the XML API, in front of gcp-storage-emulator's own storage.

The emulator's server has the JSON API alone. What the XML API adds is little: objects with an ETag and the
time of their last change, lists, and uploads in parts.
"""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import buckets, objects
from gcp_storage_emulator.storage import Storage
from pydantic import SecretStr

from app.endpoints_storage import Google


class Bucket:
    """One bucket of the emulator's, and the uploads to it that are under way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._storage = Storage(use_memory_fs=True)
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._parts: dict[str, dict[int, bytes]] = defaultdict(dict)
        buckets.create_bucket(name, self._storage)

    def about(self, key: str) -> dict[str, Any]:
        """An object's resource. Raises NotFound."""
        found: dict[str, Any] = self._storage.get_file_obj(self.name, key)
        return found

    def content(self, key: str) -> bytes:
        """An object's bytes. Raises NotFound."""
        return bytes(self._storage.get_file(self.name, key))

    def keep(self, key: str, content: bytes) -> dict[str, Any]:
        """Put an object; its resource."""
        about: dict[str, Any] = objects._make_object_resource(
            "", self.name, key, "application/octet-stream", str(len(content))
        )
        objects._checksums(content, about)
        with self._lock:
            self._storage.create_file(self.name, key, content, about)
        return about

    def delete(self, key: str) -> None:
        """Delete an object. Raises NotFound."""
        with self._lock:
            self._storage.delete_file(self.name, key)

    def below(self, prefix: str) -> list[dict[str, Any]]:
        """The resources of the objects whose keys begin so."""
        found, _ = self._storage.get_file_list(self.name, prefix)
        return list(found)

    def begin(self) -> str:
        """An upload's id."""
        return f"upload-{next(self._numbers)}"

    def part(self, upload: str, number: int, content: bytes) -> None:
        """Take a part of an upload."""
        self._parts[upload][number] = content

    def complete(self, upload: str, key: str, numbers: list[int]) -> dict[str, Any]:
        """Make an object of an upload's parts."""
        parts = self._parts.pop(upload)
        return self.keep(key, b"".join(parts[number] for number in numbers))


class XmlApi(BaseHTTPRequestHandler):
    """Answers requests for objects of one bucket."""

    protocol_version = "HTTP/1.1"

    def __init__(self, bucket: Bucket, *arguments: Any) -> None:
        self._bucket = bucket
        super().__init__(*arguments)

    def parse_request(self) -> bool:
        """Read what is asked for: a key, a query and a body."""
        if not super().parse_request():
            return False
        url = urlsplit(self.path)
        bucket, _, key = url.path.lstrip("/").partition("/")
        self._key = unquote(key)
        self._query = dict(parse_qsl(url.query, keep_blank_values=True))
        self._body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if bucket == self._bucket.name:
            return True
        self._answer(404)
        return False

    def do_GET(self) -> None:
        """An object, or a list of them."""
        if "list-type" in self._query:
            self._answer(200, _listed(self._bucket.below(self._query.get("prefix", ""))))
        else:
            self._object(content=True)

    def do_HEAD(self) -> None:
        """What is known of an object."""
        self._object(content=False)

    def do_PUT(self) -> None:
        """An object, or a part of one."""
        if "uploadId" in self._query:
            number = int(self._query["partNumber"])
            self._bucket.part(self._query["uploadId"], number, self._body)
            self._answer(200, headers={"ETag": f'"{number}"'})
        else:
            self._answer(200, headers=_headers(self._bucket.keep(self._key, self._body)))

    def do_POST(self) -> None:
        """Begin or end an upload in parts."""
        if "uploads" in self._query:
            upload = self._bucket.begin()
            self._answer(200, _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>"))
            return
        numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", self._body)]
        about = self._bucket.complete(self._query["uploadId"], self._key, numbers)
        self._answer(200, _xml("CompleteMultipartUploadResult", f'<ETag>"{about["etag"]}"</ETag>'))

    def do_DELETE(self) -> None:
        """Delete an object."""
        try:
            self._bucket.delete(self._key)
        except NotFound:
            self._answer(404)
        else:
            self._answer(204)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _object(self, *, content: bool) -> None:
        try:
            about = self._bucket.about(self._key)
            body = self._bucket.content(self._key)
        except NotFound:
            self._answer(404)
        else:
            self._answer(200, body, _headers(about), send=content)

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, *, send: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if send:
            self.wfile.write(body)


def _headers(about: dict[str, Any]) -> dict[str, str]:
    changed = datetime.fromisoformat(about["updated"])
    return {
        "ETag": f'"{about["etag"]}"',
        "Last-Modified": format_datetime(changed, usegmt=True),
        "x-goog-generation": about["generation"],
    }


def _listed(found: list[dict[str, Any]]) -> bytes:
    items = [
        f"<Contents><Key>{escape(each['name'])}</Key><LastModified>{each['updated']}</LastModified>"
        f'<ETag>"{each["etag"]}"</ETag><Size>{each["size"]}</Size></Contents>'
        for each in found
    ]
    return _xml("ListBucketResult", "<IsTruncated>false</IsTruncated>" + "".join(items))


def _xml(name: str, inner: str) -> bytes:
    return f"<?xml version='1.0'?><{name}>{inner}</{name}>".encode()


@contextmanager
def google_storage() -> Iterator[Google]:
    """A bucket, and the settings by which Parley finds it. Nobody is asked for a token."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(XmlApi, Bucket("files")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    nobody = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    key = SecretStr(json.dumps({"gcs_base_url": url, "disable_oauth": True, **nobody}))
    try:
        yield Google(type="google", bucket="files", prefix="parley", endpoint=url, service_account_key=key)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
