"""A whole sample mission in a fresh repository: planned, run with real processes, reviewed, landed and proved.

`sample/project` is the project as its first commit has it, `sample/agents` the two scripted agents; both are data that
is copied into the folder of the demo, never imported from here.
"""

from __future__ import annotations

__all__: list[str] = []
