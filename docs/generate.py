"""Writes the reference pages in `docs/reference/` from the code; `--check` only says what is out of date.

What the code says about itself (settings, errors, operations, triggers, filters, models, tables) is written only there.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from datastead import errors
from datastead.ai.models import BUILT_IN
from datastead.data.system import metadata
from datastead.extensions import FilterType, OperationType, ProviderType, Registry, StorageType, TriggerType
from datastead.settings import Settings

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->\n"


def main() -> int:
    """Writes the pages, or with `--check` compares them. 1 = some page is out of date."""
    stale = [name for name, text in pages().items() if not _is_current(name, text)]
    if "--check" in sys.argv:
        print("\n".join(f"docs/reference/{name} is out of date: run `make docs`." for name in stale), end="")
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)
    return 0


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    registry = Registry.discover()
    return {
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "operations.md": _extensions_page("Operations", "What a flow can do.", registry.all(OperationType)),
        "triggers.md": _extensions_page("Triggers", "What starts a flow.", registry.all(TriggerType)),
        "filters.md": _extensions_page("Template filters", "`{{ value | name }}`.", registry.all(FilterType)),
        "providers.md": _extensions_page("Providers", "Wire formats for models.", registry.all(ProviderType)),
        "storage.md": _extensions_page(
            "Storage drivers", "`STORAGE_<LOCATION>_DRIVER`, and its options.", registry.all(StorageType)
        ),
        "models.md": models_page(),
        "tables.md": tables_page(),
    }


def settings_page() -> str:
    """Every variable, as it is named in the environment."""
    rows = (
        f"### `{name.upper()}`\n\n{field.description}\n\n- Type: {_type(field.annotation)}\n{_default(field.default)}"
        for name, field in Settings.model_fields.items()
    )
    return _page("Settings", "From the environment, `.env`, or the file that `CONFIG_PATH` names, in this order.", rows)


def errors_page() -> str:
    """Every error: code, status, and what it means."""
    rows = (_error(cls) for cls in _classes_under(errors.DatasteadError))
    return _page("Errors", "The code stands in `errors[0].extensions.code`; in Python in `error.code`.", rows)


def _error(cls: type[errors.DatasteadError]) -> str:
    meaning = (cls.__doc__ or "").strip().splitlines()[0]
    told = _cause_and_cure(cls) if issubclass(cls, errors.AIError) else ""
    return f"### `{cls.code}` {cls.status}\n\n`datastead.errors.{cls.__name__}`. {meaning}\n{told}"


def _cause_and_cure(cls: type[errors.AIError]) -> str:
    return f"\n- Cause: {cls.cause}\n- Cure: {cls.cure}\n" if cls.cure else ""


def models_page() -> str:
    """The built-in model definitions."""
    names = (
        "provider",
        "model",
        "name",
        "context",
        "output",
        "USD in",
        "USD out",
        "cached",
        "other tiers",
        "reasoning",
    )
    head = f"| {' | '.join(names)} |\n{'|---' * len(names)}|"
    rows = (
        f"| {m.provider} | `{m.model}` | {m.name} | {m.limit.context:,} | {m.limit.output:,} "
        f"| {m.cost.input} | {m.cost.output} | {m.cost.cache_read or ''} "
        f"| {', '.join(f'{tier} {scale.input:g}/{scale.output:g}' for tier, scale in m.cost.tiers)} "
        f"| {_yes(m.reasoning)} |"
        for m in BUILT_IN.values()
    )
    return _page(
        "Models",
        "Limits in tokens; prices in USD per million tokens. Those with an output take files, call tools, and can be"
        " held to a schema; those without make vectors.",
        ["\n".join([head, *rows]) + "\n"],
    )


def tables_page() -> str:
    """The platform's own tables and their columns."""
    rows = (f"### `{table.name}`\n\n{_columns(table)}\n" for table in metadata.sorted_tables)
    return _page("Tables", "`directus_*` has Directus's columns; `datastead_*` is ours.", rows)


def _columns(table: sa.Table) -> str:
    return ", ".join(f"`{column.name}`" for column in table.columns)


def _extensions_page(title: str, lead: str, found: dict[str, Any]) -> str:
    return _page(title, lead, (_extension(name, extension) for name, extension in found.items()))


def _extension(name: str, extension: Any) -> str:
    options: type[BaseModel] | None = getattr(extension, "options", None)
    table = "" if options is None or not options.model_fields else f"\n{_options(options)}"
    return f"### `{name}`\n\n{_paragraph(extension.description)}\n{table}"


def _options(options: type[BaseModel]) -> str:
    head = "| option | type | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{field.alias or name}` | {_type(field.annotation)} | {_short_default(field)} "
        f"| {field.description or ''} |\n"
        for name, field in options.model_fields.items()
    )


def _short_default(field: Any) -> str:
    if field.is_required():
        return "required"
    return "" if field.default in (None, PydanticUndefined) else f"`{field.default}`"


def _default(value: Any) -> str:
    return "" if value in (None, PydanticUndefined) else f"- Default: `{value}`\n"


def _type(annotation: Any) -> str:
    return f"`{_type_name(annotation)}`"


def _type_name(annotation: Any) -> str:
    """The type as a reader says it: `str or None`, `list[str]`, `'retry' or 'reject'`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin in {Union, UnionType}:
        return " or ".join(_type_name(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(repr(argument) for argument in arguments)
    name = "None" if annotation is type(None) else str(getattr(annotation, "__name__", annotation))
    return f"{name}[{', '.join(_type_name(argument) for argument in arguments)}]" if arguments else name


def _paragraph(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def _yes(value: bool) -> str:
    return "yes" if value else ""


def _classes_under(cls: type[errors.DatasteadError]) -> Iterable[type[errors.DatasteadError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _classes_under(child)


def _page(title: str, lead: str, parts: Iterable[str]) -> str:
    return "\n".join([f"# {title}\n", NOTE, f"{lead}\n", *parts]).rstrip() + "\n"


def _is_current(name: str, text: str) -> bool:
    file = REFERENCE / name
    return file.exists() and file.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
