"""What becomes of the things a bot says, on each channel: the only place that knows.

deliverables(content, channel)  a journal's output as deliveries' contents, in order
choices(content)                the numbered choices of its readable form
lead(content)                   the text that goes along with its card
"""

from __future__ import annotations

from app.gateway.rendering.deliverables import choices, deliverables, is_numbered
from app.gateway.rendering.readable import lead

__all__ = ["choices", "deliverables", "is_numbered", "lead"]
