"""`datastead init`: a `.env` to start from."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from datastead.errors import UnprocessableContent

TEMPLATE = """\
# Datastead reads this file from the folder in which it is started. Every variable: docs/reference/settings.md

# HOST=0.0.0.0
# PORT=8055
# PUBLIC_URL=http://localhost:8055

# Signs access tokens. Keep it secret, and keep it.
SECRET={secret}

ADMIN_EMAIL=admin@example.com
ADMIN_PASSWORD={password}
# ADMIN_TOKEN=

# A SQLite file, PostgreSQL or MariaDB:
DATABASE_URL=sqlite:///data.db
# DATABASE_URL=postgresql://user:password@localhost:5432/datastead
# DATABASE_URL=mariadb://user:password@localhost:3306/datastead

# AI_OPENAI_ENABLED=true
# AI_OPENAI_API_KEY=
# AI_OPENAI_ALLOWED_MODELS=gpt-4.1-mini,gpt-5
# AI_ANTHROPIC_ENABLED=true
# AI_ANTHROPIC_API_KEY=
# AI_GOOGLE_ENABLED=true
# AI_GOOGLE_API_KEY=
# AI_OPENAI_COMPATIBLE_ENABLED=true
# AI_OPENAI_COMPATIBLE_BASE_URL=http://localhost:11434/v1
# AI_OPENAI_COMPATIBLE_MODELS='json:[{{"id": "llama3.2", "name": "Llama 3.2", "context": 128000, "output": 4096}}]'
"""


def init(file: Annotated[Path, typer.Option(help="The file to write.")] = Path(".env")) -> None:
    """Write a `.env` with a new secret and a new password for the first administrator."""
    if file.exists():
        raise UnprocessableContent(f"`{file}` exists already, and is left as it is.")
    file.touch(mode=0o600)
    file.write_text(TEMPLATE.format(secret=secrets.token_urlsafe(32), password=secrets.token_urlsafe(12)))
    print(f"Wrote `{file}`. Next: `datastead serve`.")
