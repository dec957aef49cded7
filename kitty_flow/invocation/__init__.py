"""Governed requests: profiles, the router, the governance context, and the records of invocations."""
