"""The worker process: `run` is what `parley work` calls."""

from app.worker.process import run

__all__ = ["run"]
