"""The gate that looks for secrets in what would land."""

from __future__ import annotations

from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.landing import Landing
from kitty_flow.release.secret_scan import MAX_LINES, Scan, scan_added_lines

__all__ = ["no_secrets"]


def no_secrets(landing: Landing) -> GateResult:
    """No line that the landing adds to the target looks like a key, a token or a password in a URL."""
    mission = landing.mission
    if not landing.candidate_commit:
        return open_gate("no_secrets", "nothing to check: there is no commit that could land")
    scan = scan_added_lines(mission.project.repository, str(landing.target_commit), landing.candidate_commit)
    if not scan.findings and scan.is_complete:
        return open_gate("no_secrets", f"no secret in {scan.lines} added line(s){_besides(scan)}")
    if not scan.findings:
        return closed_gate(
            "no_secrets",
            "SECRETS_NOT_CHECKED",
            f"more than {MAX_LINES} lines would be added, and only those were looked at{_besides(scan)}",
            outcome="error",
            subject=mission.slug,
            invariant="nothing secret lands",
            remediation="look at the rest with a scanner of your own, then kitty-flow merge "
            f"{mission.slug} --override no_secrets --reason TEXT",
        )
    shown = ", ".join(f"{f.path}:{f.line} ({f.kind})" for f in scan.findings[:5])
    more = f" and {len(scan.findings) - 5} more" if len(scan.findings) > 5 else ""
    return closed_gate(
        "no_secrets",
        "SECRET_FOUND",
        f"what looks like a secret would land: {shown}{more}{_besides(scan)}",
        subject=scan.findings[0].path,
        invariant="nothing secret lands",
        remediation="revoke it and kitty-flow wp reopen WP --reason TEXT; a harmless line gets the comment "
        f"`pragma: allowlist secret`, or kitty-flow merge {mission.slug} --override no_secrets --reason TEXT",
    )


def _besides(scan: Scan) -> str:
    words = []
    if scan.skipped:
        names = ", ".join(scan.skipped[:3]) + (" …" if len(scan.skipped) > 3 else "")
        words.append(f"not looked at, binary or large: {names}")
    if scan.allowed:
        words.append(f"{scan.allowed} allowed by a comment")
    return f"; {'; '.join(words)}" if words else ""
