"""YAML as plain data: mappings, lists and strings, built from parser events without recursion.

Mission files come from agents and strangers. So nothing is resolved (``NO`` and ``017`` stay text), anchors, aliases
and tags are refused (a 324-byte alias bomb expands to 9^9 leaves), duplicate keys are errors instead of a silent last
one wins, and depth is bounded before anything walks the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.files import invalid

if TYPE_CHECKING:
    import yaml

__all__ = ["MAX_DEPTH", "MAX_FRONTMATTER", "YamlMapping", "YamlValue", "parse_yaml", "split_frontmatter"]

MAX_DEPTH: Final = 16
MAX_FRONTMATTER: Final = 64 * 1024
YamlValue: TypeAlias = "str | list[YamlValue] | dict[str, YamlValue]"


class YamlMapping(dict[str, "YamlValue"]):
    """A mapping that knows in which line of its file each key stands, and in which it begins itself (`line`)."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


def split_frontmatter(text: str, where: str) -> tuple[str, str]:
    """The YAML between the first two ``---`` lines, and the Markdown body after them.

    Raises:
        DefinitionError: FRONTMATTER_MISSING, FRONTMATTER_UNTERMINATED, or FILE_TOO_LARGE for absurdly much of it.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        raise invalid("FRONTMATTER_MISSING", "does not begin with a '---' line and YAML frontmatter", f"{where}:1")
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == "---":
            head = "\n".join(lines[1:number])
            if len(head) > MAX_FRONTMATTER:
                raise invalid("FILE_TOO_LARGE", f"has more than {MAX_FRONTMATTER} characters of frontmatter", where)
            return head, "\n".join(lines[number + 1 :]).lstrip("\n")
    raise invalid("FRONTMATTER_UNTERMINATED", "has no second '---' line that ends the frontmatter", f"{where}:1")


def parse_yaml(text: str, where: str, *, first_line: int = 1) -> YamlValue:
    """The one document of `text`; an empty text is an empty mapping. `first_line` is its line number in the file.

    Raises:
        DefinitionError: INVALID_YAML, with the file and line.
    """
    import yaml

    builder = _Builder(where, first_line)
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            builder.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise builder.error(error.problem or "is not YAML", mark.line if mark else None) from error
    except (yaml.YAMLError, ValueError, OverflowError, IndexError) as error:
        # Beyond its own errors the parser lets through those of chr() and int() on absurd escapes and directives.
        raise builder.error(str(error).splitlines()[0] if str(error) else "is not YAML", None) from error
    return {} if builder.root is None else builder.root


class _Builder:
    """Puts events together to a value, keeping the open collections on an explicit stack."""

    def __init__(self, where: str, first_line: int) -> None:
        self.root: YamlValue | None = None
        self._where = where
        self._first_line = first_line
        self._documents = 0
        self._open: list[list[YamlValue] | dict[str, YamlValue]] = []
        self._keys: list[str | None] = []

    def error(self, message: str, line: int | None) -> DefinitionError:
        """The error for this text; `line` counts from 0 in the YAML, the report from 1 in the file."""
        if line is None:
            return invalid("INVALID_YAML", f"invalid YAML: {message}", self._where)
        number = line + self._first_line
        return invalid("INVALID_YAML", f"invalid YAML in line {number}: {message}", f"{self._where}:{number}")

    def feed(self, event: yaml.Event) -> None:
        """Take the next event.

        Raises:
            DefinitionError: the event stands for something that is not allowed here.
        """
        import yaml

        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self.error("anchors (&) and aliases (*) are not allowed", _line(event))
        if getattr(event, "tag", None) is not None:
            raise self.error("tags (!) are not allowed", _line(event))
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin(YamlMapping(self._number(event)), event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin([], event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self.error("more than one document", _line(event))

    def _begin(self, value: list[YamlValue] | dict[str, YamlValue], event: yaml.Event) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels", _line(event))
        self._place(value, event)
        self._open.append(value)
        self._keys.append(None)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text: str = event.value
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise self.error("an escape stands for half of a surrogate pair", _line(event))
        if self._open and isinstance(self._open[-1], dict) and self._keys[-1] is None:
            if text in self._open[-1]:
                raise self.error(f"duplicate key {text[:80]!r}", _line(event))
            self._keys[-1] = text
            if isinstance(self._open[-1], YamlMapping):
                self._open[-1].lines[text] = self._number(event)
        else:
            self._place(text, event)

    def _number(self, event: yaml.Event) -> int:
        return (_line(event) or 0) + self._first_line

    def _place(self, value: YamlValue, event: yaml.Event) -> None:
        if not self._open:
            self.root = value
            return
        parent, key = self._open[-1], self._keys[-1]
        if isinstance(parent, list):
            parent.append(value)
        elif key is None:
            raise self.error("only plain text can be a key", _line(event))
        else:
            parent[key] = value
            self._keys[-1] = None


def _line(event: yaml.Event) -> int | None:
    return event.start_mark.line if event.start_mark else None
