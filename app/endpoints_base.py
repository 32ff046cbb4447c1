"""What every part of endpoints.yaml is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

FUNCTION_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
FunctionPath = Annotated[str, StringConstraints(pattern=FUNCTION_PATH)]
"""module:function"""


class Strict(BaseModel):
    """A part of endpoints.yaml: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
