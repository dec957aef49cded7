"""The evidence bundle of a mission that landed: one file that says what landed and why, and what proves it anywhere."""
