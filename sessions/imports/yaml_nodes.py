"""Read YAML as texts with their lines: no tags, no numbers, no anchors, no deep nesting.

A YAML number may be an account: 011122223333 is octal to YAML, and a name to AWS.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from sessions.imports.ini import Unreadable

LARGEST = 256 * 1024
DEEPEST = 20
# libyaml is ten times as fast, where it is there; either gives the same events.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Node:
    """Hold a text, a map or a list, and its line."""

    line: int
    text: str = ""
    map: dict[str, "Node"] = field(default_factory=dict)
    items: list["Node"] = field(default_factory=list)
    is_map: bool = False

    def get(self, *names: str) -> "Node":
        """Return what stands under these names, one in the other; an empty node without."""
        node = self
        for name in names:
            node = node.map.get(name) or Node(node.line)
        return node


def read_yaml(text: str) -> Node:
    """Return a document's first node. Raises `Unreadable` with the line."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise Unreadable(1, "A YAML file has at most 256 KB.")
    line = 1
    root: Node | None = None
    stack: list[tuple[Node, list[Node]]] = []
    try:
        for event in yaml.parse(text, Loader=LOADER):
            line = event.start_mark.line + 1 if event.start_mark else line
            node = _opened(event, line)
            if node is not None:
                if stack:
                    stack[-1][1].append(node)
                elif root is None:
                    root = node
                else:
                    raise Unreadable(line, "There is more than one YAML document.")
            if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                assert node is not None
                if len(stack) >= DEEPEST:
                    raise Unreadable(line, "The YAML is nested too deeply.")
                stack.append((node, []))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                _close(*stack.pop())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable(
            mark.line + 1 if mark else line,
            f"This is no YAML: {getattr(error, 'problem', None) or 'a character is not allowed'}.",
        ) from None
    except RecursionError:
        raise Unreadable(line, "The YAML is nested too deeply.") from None
    return root or Node(1)


def _opened(event: Any, line: int) -> Node | None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise Unreadable(line, "Anchors and aliases of YAML are not read here.")
    if isinstance(event, yaml.ScalarEvent):
        return Node(line, str(event.value))
    if isinstance(event, yaml.MappingStartEvent):
        return Node(line, is_map=True)
    return Node(line) if isinstance(event, yaml.SequenceStartEvent) else None


def _close(node: Node, parts: list[Node]) -> None:
    if not node.is_map:
        node.items = parts
        return
    for key, value in zip(parts[::2], parts[1::2], strict=False):
        if key.text in node.map:
            raise Unreadable(key.line, "A name is there twice in one map.")
        value.line = key.line
        node.map[key.text] = value
