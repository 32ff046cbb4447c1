"""What endpoints.yaml says about people's data: what is kept, how, for whom and for how long."""

from __future__ import annotations

from pydantic import Field

from app.endpoints_base import Strict


class Retention(Strict):
    """Days that things are kept. The smallest positive value wins, PARLEY_RETAIN_DAYS included; 0: none."""

    events: float = Field(0, ge=0)
    """Bodies of events, journals of dialogs that have ended, contents of deliveries that are done with."""
    transcripts: float = Field(0, ge=0)
    """Lines of transcripts."""
    analytics: float = Field(0, ge=0)
    """What bots marked for analytics."""
    files: float = Field(0, ge=0)
    """Files that users and bots sent. Never longer than events and transcripts."""


class DataProtection(Strict):
    """The data protection and analytics settings of an endpoint."""

    contact_profiles: bool = True
    """Keep a profile per contact across sessions."""
    profile_ttl: float = Field(30, ge=0)
    """Days after which a profile that wasn't used is erased; 0 = never."""
    collect_analytics: bool = True
    """Keep analytics records."""
    collect_conversations: bool = True
    """Keep transcripts. Off: nothing of a text outlives its session."""
    mask_ip_address: bool = False
    """The user's IP address becomes asterisks before anything is stored."""
    mask_sensitive_analytics: bool = False
    """Input text, input data and IP address become asterisks in transcripts and analytics."""
    mask_sensitive_logging: bool = False
    """User id, text and data become asterisks in every log line, those of bots and libraries included."""
    input_sanitization: bool = False
    """Harmful HTML is removed from inputs, after the input transformer."""
    hide_external_references: bool = False
    """Links and pictures in users' inputs are plain, unrendered text in transcripts."""
    encrypt: bool = False
    """What is kept for replays is encrypted with PARLEY_ENCRYPTION_KEY."""
    retention: Retention = Retention()

    @property
    def erases(self) -> bool:
        """Whether what a session's replays needed goes with the session."""
        return self.mask_sensitive_analytics or not self.collect_conversations
