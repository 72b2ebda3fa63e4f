"""Keys that stand twice in a config file: YAML takes the last one and says nothing."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from workflow_scripts.config.errors import wrong


def check_keys(files: Iterable[str | Path]) -> None:
    """See that no key stands twice in a mapping of these files. A merged one (`<<`) may be given anew.

    Raises:
        ConfigError: with one line for every key that does.
    """
    lines = [line for file in files for line in _repeated(Path(file))]
    if lines:
        raise wrong(lines)


def _repeated(file: Path) -> Iterator[str]:
    if file.suffix == ".json":
        return
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with file.open(encoding="utf-8") as text:
        yield from _twice(yaml.compose(text, Loader=loader), "", file, set())


def _twice(node: yaml.Node | None, where: str, file: Path, seen: set[int]) -> Iterator[str]:
    """Keys of a node and of all below it; what an alias repeats counts once."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _twice(value, f"{where}{number}.", file, seen)
        return
    lines: dict[tuple[str, str], int] = {}
    for key, value in node.value:
        name = str(key.value)
        place, line = f"{where}{name}", key.start_mark.line + 1
        if (key.tag, name) in lines:
            yield (
                f"{place}: this key stands twice, in lines {lines[key.tag, name]} and {line} of {file}; YAML "
                "takes the last one: keep one, or rename one"
            )
        lines[key.tag, name] = line
        yield from _twice(value, f"{place}.", file, seen)
