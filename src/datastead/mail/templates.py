"""Templates of mail: `<name>.html` in `EMAIL_TEMPLATES_PATH`, or `base`, which is there without a file.

What is put in is escaped, unless a template says `| safe`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from datastead.errors import InvalidPayload

FUEL = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_BASE = """<!doctype html>
<html>
<head><meta charset="utf-8"><title>{{ projectName }}</title></head>
<body style="margin:0;padding:24px;background:#f6f6f8;font-family:sans-serif;line-height:1.5;color:#222">
<div style="max-width:600px;margin:0 auto;padding:24px;background:#fff;border-top:4px solid {{ projectColor }}">
{{ html | safe }}
</div>
<p style="max-width:600px;margin:16px auto;font-size:13px;color:#666">
{%- if projectUrl %}<a href="{{ projectUrl }}">{{ projectName }}</a>{% else %}{{ projectName }}{% endif -%}
</p>
</body>
</html>
"""


def rendered(folder: Path, name: str, data: Mapping[str, Any]) -> str:
    """The HTML. data: JSON. Raises `InvalidPayload` where there is no such template, or it cannot be rendered."""
    from minijinja import Environment, TemplateError

    environment = Environment(
        loader=lambda file: _source(folder, file.removesuffix(".html")), fuel=FUEL, undefined_behavior="chainable"
    )
    if not _NAME.fullmatch(name) or _source(folder, name) is None:
        raise _missing(folder, name)
    try:
        return environment.render_template(f"{name}.html", **orjson.loads(orjson.dumps(data, default=str)))
    except TemplateError as error:
        reason = f"The template `{name}` of mail cannot be rendered: {str(error).splitlines()[0]}"
        raise InvalidPayload(f"{reason}.", reason=reason, field="template", value=name) from error


def _source(folder: Path, name: str) -> str | None:
    file = folder / f"{name}.html"
    if _NAME.fullmatch(name) and file.is_file():
        return file.read_text()
    return _BASE if name == "base" else None


def _missing(folder: Path, name: str) -> InvalidPayload:
    is_liquid = _NAME.fullmatch(name) is not None and (folder / f"{name}.liquid").is_file()
    cure = (
        f"`{name}.liquid` is in Liquid: write it as `{name}.html`, in Jinja"
        if is_liquid
        else "put a file `<name>.html` into the folder `EMAIL_TEMPLATES_PATH`, or use `base`"
    )
    reason = f"There is no template `{name[:100]}` for mail"
    return InvalidPayload(f"{reason}: {cure}.", reason=reason, field="template", value=name[:100])
