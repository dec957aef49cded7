"""The append-only log: append, read back, commit. A git ref per mission is the only authority; all else is derived."""
