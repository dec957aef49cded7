"""The nouns: ids, work packages, missions, events, plans, verdicts, gate results. Frozen values, no I/O."""
