"""Readers of mission sources and their validation.

`source` is the way in: it finds missions and picks the reader (`spec_kitty` for the Spec Kitty layout, `native` for
kitty-flow's own TOML file). Readers return a draft and gather what is wrong; `validation` makes the mission of it.
"""
