"""What a test needs beside Parley, and does not find."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test; but fail it in continuous integration, which installs everything."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{what}; continuous integration must have it", pytrace=False)
    pytest.skip(what)
