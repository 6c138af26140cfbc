"""YAML and object literals of JavaScript, in which flows are written. Apart, as the parser takes its time to load."""

import re
from typing import Any

import yaml

from datastead.errors import InvalidFlow

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "/": "/"}


class _LiteralLoader(yaml.SafeLoader):
    """YAML, with JavaScript's escapes inside single quotes, as in an object literal."""


def _construct_text(loader: _LiteralLoader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    if node.style != "'":
        return text
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape.group(1), escape.group()), text)


_LiteralLoader.add_constructor("tag:yaml.org,2002:str", _construct_text)


def read_yaml(text: str) -> Any:
    """The document. Raises `InvalidFlow`."""
    loader = _LiteralLoader if text.lstrip().startswith("{") else yaml.SafeLoader
    try:
        return yaml.load(text, loader)  # noqa: S506  both are safe loaders
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = error.problem if isinstance(error, yaml.MarkedYAMLError) else "it is not text"
        raise InvalidFlow(f"The document is neither JSON nor YAML{where}: {what}.") from error
