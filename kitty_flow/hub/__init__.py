"""The hosted hub: its address, this user's credentials for it, its client, and the queue that tells it of invocations.

The only folder that may import httpx, and only when a hub is configured and used (contract:
`docs/reference/hub-openapi.yaml`, reasons: ADR 28). It knows nothing of missions or invocations: what is sent are plain
events that somebody above gives it.
"""
