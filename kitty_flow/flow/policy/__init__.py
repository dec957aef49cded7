"""Decisions about failed attempts, parked credential pools and spent budgets: pure functions of facts and settings."""
