"""Where variables stand: the environment, `.env`, and a YAML or JSON file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datastead.errors import InvalidSettings


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as it was found. name: as the user wrote it. source: where, for messages."""

    name: str
    value: Any
    source: str

    @property
    def shown(self) -> str:
        return f"`{self.name}`" if self.source == "environment" else f"`{self.name}` ({self.source})"


def collect(env: Mapping[str, Any], dotenv: Path | None, folder: Path) -> dict[str, Variable]:
    """Every variable of every source by its name in upper case. An empty text counts as not set."""
    own = [Variable(name, value, "environment") for name, value in env.items()]
    file = dotenv or folder / ".env"
    if dotenv is not None or file.is_file():
        own += _dotenv(file)
    found = _by_name(own)
    config = found.get("CONFIG_PATH")
    if config is not None:
        found = {**_by_name(_config_file(folder / Path(str(config.value)).expanduser(), config)), **found}
    return found


def _by_name(variables: list[Variable]) -> dict[str, Variable]:
    """The first of each name wins."""
    given = [variable for variable in variables if not (isinstance(variable.value, str) and not variable.value.strip())]
    return {variable.name.upper() if _is_file(variable) else variable.name: variable for variable in reversed(given)}


def _is_file(variable: Variable) -> bool:
    """In files of keys and values, lower case is as good as upper case; in the environment it is another name."""
    return variable.source not in {"environment", ".env"}


def _dotenv(file: Path) -> list[Variable]:
    from dotenv.parser import parse_stream

    found = []
    for binding in parse_stream(_lines(_text(file, ".env"))):
        if binding.error:
            raise InvalidSettings(f"{file}: line {binding.original.line} is not `NAME=value`.")
        if binding.key is not None:
            found.append(Variable(binding.key, binding.value, ".env"))
    return found[::-1]  # of a name that stands there twice the last counts


def _lines(text: str) -> Any:
    import io

    return io.StringIO(text)


def _config_file(file: Path, named_by: Variable) -> list[Variable]:
    text = _text(file, named_by.shown)
    found = _parse(file, text)
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise InvalidSettings(f"{file}: the file has to hold names with values, one object.")
    return [Variable(name, value, file.name) for name, value in found.items() if value is not None]


def _parse(file: Path, text: str) -> Any:
    import yaml

    try:
        return json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise InvalidSettings(f"{file}: line {error.lineno}, column {error.colno} is not JSON.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidSettings(f"{file}: line {line} is not YAML.") from None


def _text(file: Path, named_by: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSettings(f"{named_by}: `{file}` cannot be read: {reason}.") from None
