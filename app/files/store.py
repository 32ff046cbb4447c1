"""Where the bytes of files are: a folder, S3 (or compatible), Azure Blob Storage, Google Cloud Storage.

A thin layer over obstore. An object's key is random (see `new_key`): it says nothing about whose file it is,
only whether it is encrypted (see sealed.py), which `put`, `get` and `stream` do by themselves.
Every object has a row in the table `file` before it is written and until it is deleted.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store

from app.endpoints_storage import S3, Azure, Files, Google, LocalFolder
from app.errors import ConfigurationError, ParleyError
from app.files.sealed import SEALED, one, seal, unseal_pieces

if TYPE_CHECKING:  # they are types alone
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, RetryConfig, S3Config

#: Bytes that are handed on at a time.
CHUNK = 256 * 1024

#: Parts of an upload: what S3 takes at least.
_PART = 5 * 1024 * 1024

_CLIENT: ClientConfig = {"connect_timeout": "5s", "timeout": "60s"}
_RETRIES: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}


class StorageFailed(ParleyError):
    """The storage of files did not do what was asked."""


class NoSuchFile(StorageFailed):
    """The file is no longer stored."""


class FileStore:
    """Puts, gets and deletes objects by key. Every method may raise StorageFailed."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, key: str, content: bytes | AsyncIterable[bytes]) -> None:
        """Store bytes, or what comes piece by piece; it is there as a whole or not at all."""
        if key.endswith(SEALED):
            content = seal(one(content) if isinstance(content, bytes) else content)
        try:
            await obstore.put_async(self._store, key, content, chunk_size=_PART, max_concurrency=2)
        except (BaseError, OSError, ValueError) as error:
            raise _failed("put", error) from None

    async def get(self, key: str) -> bytes:
        """The whole object. Raises NoSuchFile."""
        return b"".join([piece async for piece in self.stream(key)])

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The object piece by piece. Raises NoSuchFile before the first piece."""
        pieces = self._pieces(key)
        async for piece in unseal_pieces(pieces) if key.endswith(SEALED) else pieces:
            yield piece

    async def _pieces(self, key: str) -> AsyncIterator[bytes]:
        try:
            found = await obstore.get_async(self._store, key)
            async for piece in found.stream(min_chunk_size=CHUNK):
                yield bytes(piece)
        except FileNotFoundError:
            raise NoSuchFile from None
        except (BaseError, OSError, ValueError) as error:
            raise _failed("get", error) from None

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are gone already are no error."""
        for key in keys:
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                continue
            except (BaseError, OSError, ValueError) as error:
                raise _failed("delete", error) from None

    async def delete_below(self, prefix: str) -> None:
        """Delete every object whose key begins with `prefix` and a slash."""
        try:
            async for found in obstore.list(self._store, prefix=prefix):
                await self.delete([each["path"] for each in found])
        except (BaseError, OSError, ValueError) as error:
            raise _failed("list", error) from None

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            await obstore.head_async(self._store, key)
        except FileNotFoundError:
            return False
        except (BaseError, OSError, ValueError) as error:
            raise _failed("head", error) from None
        return True


def _failed(what: str, error: Exception) -> StorageFailed:
    """The error's own text may hold an address with credentials: its type must do."""
    return StorageFailed(f"The storage of files failed to {what}: {type(error).__name__}")


def new_key(*, sealed: bool = False) -> str:
    """A key that nobody guesses; the first two characters spread objects over folders.

    `sealed`: what is put under it is encrypted with PARLEY_ENCRYPTION_KEY.
    """
    return key_named(secrets.token_hex(16), sealed=sealed)


def key_named(number: str, *, sealed: bool) -> str:
    """The key of the file that URLs name by this number."""
    return f"{number[:2]}/{number}{SEALED if sealed else ''}"


def number_of(key: str) -> str:
    """What a URL names the file by: 32 hexadecimal digits."""
    return key.partition("/")[2].removesuffix(SEALED)


def smaller_folder(key: str) -> str:
    """Below which an image's smaller copies are."""
    return f"{number_of(key)[:2]}/{number_of(key)}.smaller"


def open_store(files: Files, home: Path) -> FileStore:
    """The store that is configured. Raises ConfigurationError where it can't be one.

    No request is made: a wrong bucket or key is found out by the first file, or by `parley check --files`.
    """
    try:
        return FileStore(_open(files, home))
    except (BaseError, OSError, ValueError) as error:
        raise ConfigurationError(f"files.storage can't be used: {type(error).__name__}") from None


def _open(files: Files, home: Path) -> ObjectStore:
    match files.storage:
        case LocalFolder(folder=folder):
            return _local(folder or home / "files")
        case S3() as settings:
            return _s3(settings)
        case Azure() as settings:
            return _azure(settings)
        case Google() as settings:
            return _google(settings)


def _local(folder: Path) -> ObjectStore:
    folder = folder.absolute()
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        os.chmod(folder, 0o700)  # noqa: PTH101 - what users send is nobody else's business
    return LocalStore(folder, automatic_cleanup=False)


def _s3(settings: S3) -> ObjectStore:
    config: S3Config = {"bucket": settings.bucket, "region": settings.region}
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
    if settings.access_key_id is not None:
        config["access_key_id"] = settings.access_key_id
    if settings.secret_access_key is not None:
        config["secret_access_key"] = settings.secret_access_key.get_secret_value()
    client = _client(settings.endpoint)
    return S3Store(prefix=_prefix(settings), config=config, client_options=client, retry_config=_RETRIES)


def _azure(settings: Azure) -> ObjectStore:
    config: AzureConfig = {}
    if settings.account is not None:
        config["account_name"] = settings.account
    if settings.account_key is not None:
        config["account_key"] = settings.account_key.get_secret_value()
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
    return AzureStore(
        settings.container,
        prefix=_prefix(settings),
        config=config,
        client_options=_client(settings.endpoint),
        retry_config=_RETRIES,
    )


def _google(settings: Google) -> ObjectStore:
    config: GCSConfig = {}
    if settings.service_account is not None:
        config["service_account"] = str(settings.service_account)
    if settings.service_account_key is not None:
        config["service_account_key"] = settings.service_account_key.get_secret_value()
    if settings.endpoint is not None:
        config["base_url"] = settings.endpoint
    return GCSStore(
        settings.bucket,
        prefix=_prefix(settings),
        config=config,
        client_options=_client(settings.endpoint),
        retry_config=_RETRIES,
    )


def _prefix(settings: S3 | Azure | Google) -> str | None:
    return settings.prefix.strip("/") or None


def _client(endpoint: str | None) -> ClientConfig:
    if endpoint is not None and endpoint.startswith("http://"):
        return {**_CLIENT, "allow_http": True}
    return _CLIENT
