"""docs/endpoints.md: its examples are valid, every setting is on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.endpoints_data import DataProtection
from app.endpoints_file import read_endpoints
from app.endpoints_functions import Callers, Transformers
from app.sealing import new_key
from app.transformers.types import InputEvent, OutputEvent, endpoint_info
from tests.integration.scene import endpoint

PAGE = (Path(__file__).parents[2] / "docs" / "endpoints.md").read_text(encoding="utf-8")
EXAMPLES = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S) if block.startswith("endpoints:")]
REST = """    token: a-token-of-24-characters
    flow: flows.bots.echo:echo
    eightxeight: {api_key: eght_0123456789}
"""


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_have_no_mistakes(example: str, tmp_path: Path) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text(example.replace("    # …\n", REST))
    endpoints, mistakes = read_endpoints(path, {"PARLEY_ENCRYPTION_KEY": new_key()})
    assert endpoints is not None and mistakes == []


@pytest.mark.parametrize(
    "name", [*DataProtection.model_fields, *Callers.model_fields, *Transformers.model_fields]
)
def test_every_setting_of_data_and_functions_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE or f"{name}:" in PAGE


async def test_the_transformers_on_the_page_do_what_it_says() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    page: dict[str, object] = {}
    exec(compile(source, "endpoints.md", "exec"), page)
    shorten, sign = page["shorten"], page["sign"]
    assert callable(shorten) and callable(sign)
    info = endpoint_info(endpoint())
    event = InputEvent(info, {}, {}, None, "c", "x" * 200, {})
    assert shorten(event) == {"text": "x" * 100} and event.storage == {"inputs": 1}
    assert shorten(InputEvent(info, {}, {}, None, "c", "", {})) is None
    assert (await sign(OutputEvent(info, {}, {"text": "Hi"}, None, "c")))["text"] == "Hi (Parley)"
