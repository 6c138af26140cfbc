"""Directus 12.4.1 as the peer of `rest.py`: installed from npm into a folder of its own on first use, and started.

It runs as in production: no cache, no limits of rate or pressure, no telemetry, without its web app; a static token
for the administrator; an activity and a revision for each write, as it does of itself.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from servers import free_port

VERSION = "12.4.1"
CACHE = Path.home() / ".cache" / "datastead-bench"
PACKAGES = {
    "private": True,
    "dependencies": {"directus": VERSION},
    # the web app, which is not served here: any version of it will do, and not every registry has the newest
    "overrides": {"@directus/app": "18.0.0"},
}


def installed() -> Path:
    """Its command line, a file for Node. `DIRECTUS_HOME` names a folder that has it in `node_modules`."""
    home = Path(os.environ.get("DIRECTUS_HOME", CACHE / f"directus-{VERSION}"))
    program = home / "node_modules" / "directus" / "cli.js"
    if not program.exists():
        print("Installing Directus, once; it takes some minutes …", file=sys.stderr)
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text(json.dumps(PACKAGES))
        options = ("--omit=dev", "--no-audit", "--no-fund", "--legacy-peer-deps", "--loglevel=error")
        subprocess.run(["npm", "install", *options], cwd=home, check=True)
    return program


def environment(url: str, token: str, folder: Path) -> dict[str, str]:
    """Its settings for a database, which is ours to name: `sqlite:///…` or `postgresql://…`."""
    database = (
        {"DB_CLIENT": "sqlite3", "DB_FILENAME": url.removeprefix("sqlite:///")}
        if url.startswith("sqlite")
        else {"DB_CLIENT": "pg", "DB_CONNECTION_STRING": url}
    )
    off = (
        "TELEMETRY", "CACHE_ENABLED", "RATE_LIMITER_ENABLED", "PRESSURE_LIMITER_ENABLED", "SERVE_APP",
        "WEBSOCKETS_ENABLED",
    )  # fmt: skip
    return {
        **database, **dict.fromkeys(off, "false"), "PATH": os.environ["PATH"], "HOME": str(folder),
        "NODE_ENV": "production", "LOG_LEVEL": "error", "HOST": "127.0.0.1", "SECRET": "s" * 40,
        "PUBLIC_URL": f"http://127.0.0.1:{free_port()}", "STORAGE_LOCAL_ROOT": str(folder),
        "ADMIN_EMAIL": "admin@example.com", "ADMIN_PASSWORD": "A-password-4-the-bench", "ADMIN_TOKEN": token,
    }  # fmt: skip


def bootstrap(env: dict[str, str], folder: Path) -> None:
    """Makes its tables and its administrator."""
    subprocess.run(["node", installed(), "bootstrap"], env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)
