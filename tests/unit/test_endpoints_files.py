"""The `files` part of endpoints.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.endpoints_file import load_endpoints, read_endpoints
from app.endpoints_storage import S3, Azure, Google, LocalFolder

ENDPOINT = {
    "name": "support",
    "token": "a-token-long-enough",
    "flow": "m:f",
    "eightxeight": {"api_key": "key-of-8x8-long-enough"},
}


def written(folder: Path, files: Any) -> Path:
    path = folder / "endpoints.yaml"
    path.write_text(yaml.safe_dump({"endpoints": [ENDPOINT], "files": files}))
    return path


def test_without_the_part_files_are_in_a_folder_and_not_scanned(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text(yaml.safe_dump({"endpoints": [ENDPOINT]}))
    files = load_endpoints(path).files
    assert (files.storage, files.clamd, files.unscanned) == (LocalFolder(), None, "refuse")
    assert files.max_size == 20 * 1024 * 1024


@pytest.mark.parametrize(
    ("storage", "kind"),
    [
        ({"type": "local", "folder": "/srv/files"}, LocalFolder),
        ({"type": "s3", "bucket": "b", "access_key_id": "a", "secret_access_key": "${SECRET}"}, S3),
        ({"type": "azure", "container": "c", "account": "a", "account_key": "${SECRET}"}, Azure),
        ({"type": "google", "bucket": "b", "service_account_key": "${SECRET}"}, Google),
    ],
)
def test_each_storage_is_read_and_shows_no_secret(tmp_path: Path, storage: Any, kind: type) -> None:
    path = written(
        tmp_path, {"storage": storage, "max_size": "5MiB", "clamd": "[::1]:3310", "allow": ["10.0.0.0/8"]}
    )
    files = load_endpoints(path, {"SECRET": "very-secret"}).files
    assert isinstance(files.storage, kind)
    assert files.max_size == 5 * 1024 * 1024
    assert "very-secret" not in repr(files)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"clamd": "clamav"}, "files.clamd: must be host:port"),
        ({"clamd": "clamav:99999"}, "files.clamd: must be host:port"),
        ({"allow": ["http://files.intern"]}, "files.allow[0]: must be a host"),
        ({"max_size": "5GiB"}, "files.max_size"),
        ({"unscanned": "maybe"}, "files.unscanned"),
        ({"clamav": "a:1"}, "files.clamav: unknown key, did you mean 'clamd'?"),
        ({"storage": {"type": "ftp"}}, "files.storage"),
        ({"storage": {"type": "s3"}}, "files.storage.bucket: is missing"),
        ({"storage": {"type": "s3", "bucket": "b", "endpoint": "minio"}}, "files.storage.endpoint"),
        ({"storage": {"type": "s3", "bucket": "b", "access_key_id": "a"}}, "needs both access_key_id"),
        ({"storage": {"type": "azure", "container": "c", "account_key": "k"}}, "needs the account"),
    ],
)
def test_each_mistake_is_named_with_its_place(tmp_path: Path, files: Any, told: str) -> None:
    _, mistakes = read_endpoints(written(tmp_path, files), {})
    assert any(told in str(mistake) for mistake in mistakes), [str(mistake) for mistake in mistakes]
