"""kitty-flow: workflow orchestration for planned software work done by many coding agents at once."""

from __future__ import annotations

__all__ = ["EVENT_SCHEMA", "__version__"]

__version__ = "0.1.0"

EVENT_SCHEMA = "kitty-flow/event/1"
"""Schema tag written into every ledger event; readers refuse versions that they do not know."""
