"""The invocation runtime: governed requests to profiles, their records, and the trail that they leave."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kitty_flow.invocation.evidence import promote_to_evidence
    from kitty_flow.invocation.policy import MinimalViableTrailPolicy, tier_eligible
    from kitty_flow.invocation.record import InvocationRecord
    from kitty_flow.invocation.runtime import Opening, begin, complete

__all__ = [
    "InvocationRecord",
    "MinimalViableTrailPolicy",
    "Opening",
    "begin",
    "complete",
    "promote_to_evidence",
    "tier_eligible",
]

_HOME: Final = {
    "InvocationRecord": "record",
    "MinimalViableTrailPolicy": "policy",
    "Opening": "runtime",
    "begin": "runtime",
    "complete": "runtime",
    "promote_to_evidence": "evidence",
    "tier_eligible": "policy",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
