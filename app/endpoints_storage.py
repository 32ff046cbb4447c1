"""The `files` part of endpoints.yaml: where files are stored, what is scanned, fetched and served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ByteSize, Field, SecretStr

from app.endpoints_base import Strict

_MIB = 1024 * 1024


class LocalFolder(Strict):
    """A folder that receivers and workers share."""

    type: Literal["local"] = "local"
    folder: Path | None = None
    """Unless set, `files` in PARLEY_HOME."""


class S3(Strict):
    """Amazon S3, or what speaks its language."""

    type: Literal["s3"]
    bucket: str = Field(min_length=1)
    prefix: str = ""
    region: str = "us-east-1"
    endpoint: str | None = None
    """Of a compatible store: its URL."""
    access_key_id: str | None = None
    """Unless set, what AWS_… variables or the machine's role give."""
    secret_access_key: SecretStr | None = None


class Azure(Strict):
    """Azure Blob Storage."""

    type: Literal["azure"]
    container: str = Field(min_length=1)
    prefix: str = ""
    account: str | None = None
    """Unless set, what AZURE_… variables or the machine's identity give."""
    account_key: SecretStr | None = None
    endpoint: str | None = None


class Google(Strict):
    """Google Cloud Storage."""

    type: Literal["google"]
    bucket: str = Field(min_length=1)
    prefix: str = ""
    service_account: Path | None = None
    """The account's JSON file; unless set, what GOOGLE_… variables or the machine's identity give."""
    service_account_key: SecretStr | None = None
    """The account's JSON itself."""
    endpoint: str | None = None


Storage = Annotated[LocalFolder | S3 | Azure | Google, Field(discriminator="type")]


class Files(Strict):
    """Files that users send and bots send. Times in seconds; sizes in bytes, or such as 20MiB."""

    storage: Storage = LocalFolder()
    max_size: ByteSize = Field(ByteSize(20 * _MIB), gt=0, le=1024 * _MIB)
    """The largest file that is taken."""
    timeout: float = Field(30.0, gt=0, le=300)
    """How long fetching a file may take, with all its attempts: the bot waits for it."""
    url_ttl: float = Field(86_400.0, ge=60)
    """How long the URL that a bot gets opens a file."""
    allow: tuple[str, ...] = ()
    """Private hosts, addresses and networks that files may be fetched from, beside the endpoint's own."""
    clamd: str | None = None
    """Where ClamAV's daemon listens: host:port, or the path of its socket. Unless set, nothing is scanned."""
    unscanned: Literal["refuse", "allow"] = "refuse"
    """What becomes of a file while ClamAV can't be asked."""
