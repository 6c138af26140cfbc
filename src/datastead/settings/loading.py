"""`load_settings`: the variables of all sources, checked together; every problem is named at once."""

import difflib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from datastead.errors import InvalidSettings
from datastead.settings.model import Settings
from datastead.settings.problems import describe
from datastead.settings.sources import Variable, collect
from datastead.settings.values import names_of

log = logging.getLogger(__name__)

KNOWN = {name.upper(): name for name in Settings.model_fields}
FAMILIES = ("AI_", "DB_", "ADMIN_", "CORS_", "FLOWS_")
"""In the environment a name is taken for a mistake only if it begins like ours; in our files any name is."""

_STORAGE = re.compile(r"STORAGE_(?P<location>[A-Z0-9]+)_(?P<option>[A-Z0-9_]+)")
"""A location's option. `STORAGE_LOCATIONS` and `STORAGE_OPTIONS` have no third part."""

_PROVIDER = re.compile(r"[A-Za-z0-9_]{1,64}")

VENDOR_KEYS = {
    "AI_OPENAI_API_KEY": ("AI_OPENAI_ENABLED", ("OPENAI_API_KEY",)),
    "AI_ANTHROPIC_API_KEY": ("AI_ANTHROPIC_ENABLED", ("ANTHROPIC_API_KEY",)),
    "AI_GOOGLE_API_KEY": ("AI_GOOGLE_ENABLED", ("GEMINI_API_KEY",)),
}
"""Which switch makes a vendor's own variable stand in for a key that is not set."""


def load_settings(
    env: Mapping[str, Any] | None = None, *, dotenv: Path | None = None, cwd: Path | None = None
) -> Settings:
    """The settings of this process, or of what is given in its place.

    env: in place of the process's environment. dotenv: in place of `<cwd>/.env`, which need not exist.
    Raises `InvalidSettings` with a line for each problem; none of them shows a value.
    """
    folder = (cwd or Path.cwd()).absolute()
    found = collect(os.environ if env is None else env, dotenv, folder)
    _warn_of_near_names(found)
    given = {name: found[name] for name in KNOWN if name in found}
    given |= _vendor_keys(found)
    given |= _storage_options(found)
    given |= _provider_options(found)
    settings = _validated(given)
    _check_database(given)
    _check_providers(settings)
    variables = {name: str(variable.value) for name, variable in found.items()}
    return settings.loaded_from(folder, variables)


def _validated(given: Mapping[str, Variable]) -> Settings:
    try:
        return Settings(**{KNOWN[name]: variable.value for name, variable in given.items()})
    except ValidationError as error:
        lines = [_line(given, problem) for problem in error.errors(include_url=False)]
    raise InvalidSettings("\n".join(dict.fromkeys(lines)))


def _line(given: Mapping[str, Variable], problem: Any) -> str:
    field, *path = problem["loc"]
    variable = given[str(field).upper()]
    return f"{variable.shown}{describe(Settings.model_fields[str(field)], path, problem)}"


def _vendor_keys(found: Mapping[str, Variable]) -> dict[str, Variable]:
    """A key may be given under the vendor's name; it counts once the provider is enabled."""
    return {
        key: found[own]
        for key, (enabled, names) in VENDOR_KEYS.items()
        if key not in found and enabled in found
        for own in names
        if own in found
    }


def _storage_options(found: Mapping[str, Variable]) -> dict[str, Variable]:
    """`STORAGE_<LOCATION>_<OPTION>` of each location, under the one name that the settings have for them."""
    options = {
        (match["location"].lower(), match["option"].lower()): variable
        for name, variable in found.items()
        if name not in KNOWN and (match := _STORAGE.fullmatch(name))
    }
    if not options or "STORAGE_OPTIONS" in found:
        return {}
    by_location: dict[str, dict[str, Any]] = {}
    for (location, option), variable in options.items():
        by_location.setdefault(location, {})[option] = variable.value
    return {"STORAGE_OPTIONS": Variable("STORAGE_OPTIONS", by_location, "environment")}


def _provider_options(found: Mapping[str, Variable]) -> dict[str, Variable]:
    """`AUTH_<NAME>_<OPTION>` of each of `AUTH_PROVIDERS`, under the one name that the settings have for them."""
    if "AUTH_PROVIDERS" not in found or "AUTH_PROVIDER_OPTIONS" in found:
        return {}
    try:
        names = names_of(found["AUTH_PROVIDERS"].value)
    except ValueError:
        return {}  # said of the variable itself
    by_name = {
        name: {
            variable_name.removeprefix(prefix).lower(): variable.value
            for variable_name, variable in found.items()
            if variable_name.startswith(prefix := f"AUTH_{name.upper()}_")
        }
        for name in (names if isinstance(names, list) else ())
        if isinstance(name, str) and _PROVIDER.fullmatch(name)
    }
    return {"AUTH_PROVIDER_OPTIONS": Variable("AUTH_PROVIDER_OPTIONS", by_name, "environment")}


def _check_providers(settings: Settings) -> None:
    if any(not _PROVIDER.fullmatch(name) or name.lower() == "default" for name in settings.auth_providers):
        raise InvalidSettings("`AUTH_PROVIDERS`: names have letters, digits and `_`; `default` is the password's.")
    if settings.auth_providers and settings.public_url is None:
        raise InvalidSettings("`AUTH_PROVIDERS` is set, and `PUBLIC_URL` is not: providers send users back to it.")


def _check_database(given: Mapping[str, Variable]) -> None:
    """A server's variables without a word which server is meant would be left unused, in silence."""
    if given.keys() & {"DATABASE_URL", "DB_CONNECTION_STRING", "DB_CLIENT"}:
        return
    for name in ("DB_HOST", "DB_DATABASE", "DB_USER"):
        if name in given:
            raise InvalidSettings(
                f"{given[name].shown} is set, and `DB_CLIENT` is not: add `DB_CLIENT=pg`, or `DB_CLIENT=mysql`."
            )


def _warn_of_near_names(found: Mapping[str, Variable]) -> None:
    for variable, near in _near_names(found):
        log.warning("%s is not a variable of Datastead: did you mean `%s`?", variable.shown, near)


def _near_names(found: Mapping[str, Variable]) -> Iterator[tuple[Variable, str]]:
    for name, variable in sorted(found.items()):
        ours = variable.source != "environment" or name.upper().startswith(FAMILIES)
        if name in KNOWN or not ours or _STORAGE.fullmatch(name):
            continue
        near = difflib.get_close_matches(name.upper(), KNOWN, n=1, cutoff=0.75)
        if near:
            yield variable, near[0]
