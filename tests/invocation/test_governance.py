"""The governance context: the profile's rules and the project's charter, in one order, whole or refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kitty_flow.agents.settings import load_settings
from kitty_flow.errors import DefinitionError
from kitty_flow.invocation.governance import MAX_CONTEXT_BYTES, governance_context
from kitty_flow.invocation.profile import Profile

PROFILE = Profile("tester", "Tester", "Tests.", "reviewer", directives=("Be fair.",), hands_off_to=("implementer",))


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def test_without_a_charter_there_are_the_profiles_own_rules(tmp_path: Path) -> None:
    found = governance_context(tmp_path, PROFILE)
    assert (found.is_available, found.files) == (False, ())
    assert (
        found.text
        == "# Profile: Tester (tester)\n\nTests.\n\n## Directives\n\n- Be fair.\n\n## Hands off to\n\n- implementer\n"
    )
    assert found.digest == hashlib.sha256(found.text.encode()).hexdigest()


def test_the_charter_follows_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", ".hidden.md", "c.txt"):
        write(tmp_path, f".kitty-flow/charter/{name}", f"Rule {name}.\r\n")
    write(tmp_path, ".kitty-flow/charter.md", "\ufeffFirst.\n\n")
    found = governance_context(tmp_path, PROFILE)
    assert found.is_available
    assert found.files == (".kitty-flow/charter.md", ".kitty-flow/charter/a.md", ".kitty-flow/charter/b.md")
    charter = found.text.partition("# Charter: ")[2]
    assert charter == (
        ".kitty-flow/charter.md\n\nFirst.\n\n# Charter: .kitty-flow/charter/a.md\n\nRule a.md.\n"
        "\n# Charter: .kitty-flow/charter/b.md\n\nRule b.md.\n"
    )
    # Line ends and a byte order mark are how a clone has them, not what the rules say.
    write(tmp_path, ".kitty-flow/charter/a.md", "Rule a.md.\n")
    write(tmp_path, ".kitty-flow/charter.md", "First.")
    assert governance_context(tmp_path, PROFILE).digest == found.digest
    write(tmp_path, ".kitty-flow/charter.md", "Second.")
    assert governance_context(tmp_path, PROFILE).digest != found.digest


def test_the_settings_name_files_in_their_own_order(tmp_path: Path) -> None:
    write(tmp_path, ".kitty-flow/charter.md", "Unnamed.")
    for name in ("docs/z.md", "docs/a.md", "docs/deep/b.md"):
        write(tmp_path, name, name)
    found = governance_context(tmp_path, PROFILE, ["docs/z.md", "docs/**/*.md"])
    assert found.files == ("docs/z.md", "docs/a.md", "docs/deep/b.md")
    assert not governance_context(tmp_path, PROFILE, []).is_available


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("missing.md", "CHARTER_MISSING"),
        ("missing/*.md", "CHARTER_MISSING"),
        ("folder", "UNREADABLE_FILE"),
        ("binary.md", "NOT_UTF8"),
        ("large.md", "FILE_TOO_LARGE"),
        ("h*.md", "CHARTER_TOO_LARGE"),
        ("many/*.md", "CHARTER_TOO_LARGE"),
        ("link.md", "OUTSIDE_PROJECT"),
        ("linked/secret.md", "OUTSIDE_PROJECT"),
        ("config.md", "OUTSIDE_PROJECT"),
        ("loop.md", "OUTSIDE_PROJECT"),
    ],
)
def test_what_cannot_be_told_whole_is_refused(pattern: str, code: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, "outside/secret.md", "secret")
    write(root, "folder/x", "x")
    write(root, "large.md", "x" * (MAX_CONTEXT_BYTES + 1))
    for name in ("h1.md", "h2.md"):
        write(root, name, "x" * (MAX_CONTEXT_BYTES // 2))
    for number in range(101):
        write(root, f"many/{number}.md", "x")
    (root / "binary.md").write_bytes(b"\xff")
    write(root, ".git/config", "secret")
    (root / "link.md").symlink_to(tmp_path / "outside" / "secret.md")
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "config.md").symlink_to(root / ".git" / "config")
    (root / "loop.md").symlink_to("loop.md")
    with pytest.raises(DefinitionError) as caught:
        governance_context(root, PROFILE, [pattern])
    assert caught.value.code == code
    assert "secret" not in caught.value.message.replace("secret.md", "")


def test_a_link_inside_of_the_project_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "CONSTITUTION.md", "Ours.")
    write(tmp_path, ".kitty-flow/x", "")
    (tmp_path / ".kitty-flow" / "charter.md").symlink_to(tmp_path / "CONSTITUTION.md")
    assert "Ours." in governance_context(tmp_path, PROFILE).text


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "", ".git/config", "a\\u0000", "docs/**.md"])
def test_the_settings_refuse_what_is_no_path_of_the_project(path: str, tmp_path: Path) -> None:
    write(tmp_path, ".kitty-flow/config.toml", f'[governance]\ncharter = ["{path}"]\n')
    with pytest.raises(DefinitionError) as caught:
        load_settings(tmp_path)
    assert [p["where"] for p in caught.value.details["problems"]] == ["governance.charter"]
