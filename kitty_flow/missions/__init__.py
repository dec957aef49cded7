"""Readers of mission sources and their validation.

`source` is the way in: it finds missions and picks the reader, of which `readers` has the table (Spec Kitty, spec-kit,
Taskmaster, beads, flattened text, and kitty-flow's own TOML file). Readers return a draft and gather what is wrong,
guessed or dropped; `validation` makes the mission of it, and `coherence` warns of what does not fit together.
"""
