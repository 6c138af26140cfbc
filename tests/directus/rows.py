"""What is in the databases of `database`: a small museum, with something of all that Directus keeps."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

SECRET = "the-secret-of-the-Directus-before-it-moved"
PASSWORD = "A-pass-of-Directus-1"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$Bqy/G2JwZYmC9DJraUdpew$d3SIxrHv3KcxG9lQa0+thkiasaGdshqkbKK8CfkxZhg"
ADMIN_TOKEN, EDITOR_TOKEN, REFRESH_TOKEN = "an-administrators-token", "an-editors-token", "r" * 64
API_KEY = "sk-kept-by-directus"
SEALED_KEY = (
    "1||scrypt||16384||8||1||+dE8CEvaHdfvh0E540V1/A==||pEYJ/GP/pB51q0+g||PkVqpNFIac/k5mmwfULRg/Xzig=="
    "||7G0ptTMZ5jilixB9kqw2/w=="
)
"""`API_KEY`, encrypted with `SECRET` in the form that Directus has."""


def _id(number: int) -> str:
    return str(UUID(int=(0xD1 << 112) + number))


(
    ADMIN, EDITOR, GONE, ADMINS, STAFF, EDITORS, P_PUBLIC, P_ADMIN, P_EDITS, P_READS, FOLDER, FILE, NOTES, SCRIPT, HOOK,
    DRAFT, SHARE, DASHBOARD, COMMENT, LETTER, INBOX, TOKEN,
) = (_id(number) for number in range(1, 23))  # fmt: skip
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
LATER = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
DAY = datetime(2026, 1, 2, tzinfo=UTC)
FAR = datetime(2037, 1, 1, tzinfo=UTC)  # MariaDB's `timestamp` ends in 2038

OWN_TABLES = {
    "authors": {"id": "integer unsigned key", "name": "varchar(255)"},
    "articles": {
        "id": "integer unsigned key", "title": "varchar(255) not null", "status": "varchar(255) default 'draft'",
        "seen": "datetime", "day": "date", "details": "json", "words": "text",
        "author": "integer unsigned -> authors.id SET NULL", "cover": "char(36) -> directus_files.id SET NULL",
    },
}  # fmt: skip


def rows(version: str) -> dict[str, list[dict[str, Any]]]:
    """Rows by table, in an order that foreign keys allow."""
    last = {"11": "20260211A", "12": "20260909A"}[version]
    written = {"user_created": ADMIN, "date_created": MOMENT}
    return {
        "directus_migrations": [{"version": last, "name": "The Last One", "timestamp": MOMENT}],
        "directus_roles": [
            {"id": ADMINS, "name": "Administrator"},
            {"id": STAFF, "name": "Staff"},
            {"id": EDITORS, "name": "Editor", "parent": STAFF},
        ],
        "directus_policies": [
            {"id": P_PUBLIC, "name": "$t:public_label", "icon": "public", "admin_access": False, "app_access": False},
            {"id": P_ADMIN, "name": "Administrator", "icon": "verified", "admin_access": True, "app_access": True},
            {"id": P_EDITS, "name": "Edits drafts", "admin_access": False},
            {"id": P_READS, "name": "Reads authors", "ip_access": "127.0.0.1", "admin_access": False},
        ],
        "directus_users": [
            _user(ADMIN, "admin@example.com", ADMINS, ADMIN_TOKEN),
            _user(EDITOR, "editor@example.com", EDITORS, EDITOR_TOKEN),
            {**_user(GONE, "gone@example.com", EDITORS, None), "status": "suspended"},
        ],
        "directus_access": [
            {"id": _id(31), "policy": P_PUBLIC, "sort": 1},
            {"id": _id(32), "role": ADMINS, "policy": P_ADMIN},
            {"id": _id(33), "role": EDITORS, "policy": P_EDITS, "sort": 1},
            {"id": _id(34), "role": STAFF, "policy": P_READS, "sort": 1},
        ],
        "directus_permissions": [
            _may(P_EDITS, "articles", "read", {"status": {"_neq": "archived"}}, "id,title,author,seen"),
            _may(P_EDITS, "articles", "update", {"status": {"_eq": "draft"}}, "title"),
            _may(P_READS, "authors", "read", {}, "*"),
            _may(P_PUBLIC, "authors", "read", {}, "name"),
        ],
        "directus_sessions": [{"token": REFRESH_TOKEN, "user": EDITOR, "expires": FAR, "ip": "127.0.0.1"}],
        "directus_folders": [{"id": FOLDER, "name": "Pictures"}],
        "directus_files": [
            {
                "id": FILE, "storage": "local", "filename_disk": f"{FILE}.txt", "filename_download": "note.txt",
                "title": "A note", "type": "text/plain", "folder": FOLDER, "uploaded_by": ADMIN, "filesize": 7,
                "created_on": MOMENT, "modified_on": MOMENT, "uploaded_on": MOMENT,
            }
        ],
        "directus_collections": [
            {"collection": "museum", "icon": "folder", "versioning": False},
            {"collection": "authors", "group": "museum", "versioning": False},
            {"collection": "articles", "group": "museum", "archive_field": "status", "versioning": True},
        ],
        "directus_fields": [
            _field("articles", "seen", "cast-timestamp"),
            _field("articles", "details", "cast-json"),
            _field("articles", "words", "cast-csv"),
            _field("articles", "author", "m2o"),
            _field("articles", "cover", "file"),
            _field("authors", "articles", "o2m"),
        ],
        "directus_relations": [
            _relation("author", "authors", "articles"), _relation("cover", "directus_files", None),
        ],
        "authors": [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bert"}],
        "articles": [
            {
                "id": number, "title": title, "status": status, "seen": seen, "day": DAY, "author": author,
                "details": {"rooms": [1, 2]}, "words": "old,gold",
            }
            for number, title, status, seen, author in (
                (1, "Salt", "draft", MOMENT, 1), (2, "Iron", "published", LATER, 2), (3, "Lead", "archived", MOMENT, 1),
            )
        ],
        "directus_flows": [
            _flow(NOTES, "Notes", "event", {"type": "action", "scope": ["items.create"], "collections": ["articles"]}),
            _flow(SCRIPT, "Script", "event", {"type": "action", "scope": ["items.create"], "collections": ["authors"]}),
            _flow(HOOK, "Hook", "webhook", {"method": "GET", "async": False, "return": "$last"}),
            _flow(LETTER, "Letter", "webhook", {"method": "POST", "async": True, "return": None, "error_on_reject": None}),
            _flow(INBOX, "Inbox", "webhook", {"method": "GET", "async": False, "return": "$last"}),
            _flow(TOKEN, "Token", "webhook", {"method": "GET", "async": False, "return": "$last"}),
        ],
        "directus_operations": [
            _operation(NOTES, "note", "item-create", {
                "collection": "authors", "permissions": "$full", "emitEvents": False,
                "payload": {"name": "Of {{ $trigger.payload.title }}"},
            }),
            _operation(SCRIPT, "script", "exec", {"code": "module.exports = async () => ({});"}),
            _operation(LETTER, "letter", "mail", {
                "to": ["ada@example.com", "{{ $trigger.body.email }}"], "subject": "Hello", "type": "wysiwyg",
                "body": "<p>Hello</p>", "replyTo": [], "cc": None, "template": None, "data": None,
            }),
            _operation(INBOX, "tell", "notification", {
                "recipient": [EDITOR], "subject": "Hello", "message": "From {{ $trigger.query.name }}",
                "permissions": "$full",
            }),
            _operation(TOKEN, "token", "json-web-token", {
                "operation": "sign", "payload": '{"name": "Ann"}', "secret": "a secret", "token": None,
                "options": {"expiresIn": "2h"},
            }),
            _operation(HOOK, "greet", "transform", {"json": {"greeting": "Hello {{ $trigger.query.name }}"}}),
        ],
        "directus_activity": [_activity(1, "create"), _activity(2, "update")],
        "directus_revisions": [
            {"id": n, "activity": n, "collection": "articles", "item": "1", "data": {"id": 1}, "delta": {"title": "Salt"}}
            for n in (1, 2)
        ],
        "directus_settings": [
            {
                "id": 1, "project_name": "Museum", "project_color": "#123456", "default_language": "de-DE",
                "auth_login_attempts": 20, "auth_password_policy": "/^.{8,}$/", "public_registration": True,
                "public_registration_verify_email": False, "public_registration_role": EDITORS,
                "ai_openai_api_key": SEALED_KEY, "ai_openai_allowed_models": ["gpt-5-mini"],
                "ai_openai_compatible_base_url": "http://127.0.0.1:9/v1", "ai_openai_compatible_name": "Own",
                "ai_openai_compatible_models": [{"id": "small", "name": "Small", "context": 8000, "output": 1000}],
                "ai_openai_compatible_headers": [{"header": "X-Own", "value": "in clear"}],
            }
        ],
        "directus_presets": [{"id": 1, "bookmark": "Drafts", "user": EDITOR, "collection": "articles"}],
        "directus_dashboards": [{"id": DASHBOARD, "name": "Overview", **written}],
        "directus_panels": [
            {
                "id": _id(41), "dashboard": DASHBOARD, "name": "Count", "type": "metric", "position_x": 1,
                "position_y": 1, "width": 10, "height": 5, "options": {"collection": "articles"}, **written,
            }
        ],
        "directus_comments": [
            {"id": COMMENT, "collection": "articles", "item": "1", "comment": "Well said", "date_updated": MOMENT, **written}
        ],
        "directus_versions": [
            {
                "id": DRAFT, "key": "next", "name": "Next", "collection": "articles", "item": "1", "hash": "0" * 40,
                "delta": {"title": "Sea salt", "_user": ADMIN, "_date": "2026-01-02T03:04:05.678Z"},
                "date_updated": MOMENT, **written,
            }
        ],
        "directus_shares": [
            {
                "id": SHARE, "name": "To show", "collection": "articles", "item": "1", "role": EDITORS, "password": HASH,
                "date_start": MOMENT, "date_end": FAR, "times_used": 0, **written,
            }
        ],
        "directus_translations": [{"id": _id(42), "language": "de-DE", "key": "hello", "value": "Hallo"}],
        "directus_notifications": [{"id": 1, "recipient": EDITOR, "subject": "Read this", "timestamp": MOMENT}],
    }  # fmt: skip


def _user(key: str, email: str, role: str, token: str | None) -> dict[str, Any]:
    return {"id": key, "email": email, "password": HASH, "role": role, "token": token, "tags": ["a"]}


def _may(policy: str, collection: str, action: str, which: dict[str, Any], fields: str) -> dict[str, Any]:
    return {"policy": policy, "collection": collection, "action": action, "permissions": which, "fields": fields}


def _field(collection: str, field: str, special: str) -> dict[str, Any]:
    return {"collection": collection, "field": field, "special": special}


def _relation(field: str, related: str, alias: str | None) -> dict[str, Any]:
    return {"many_collection": "articles", "many_field": field, "one_collection": related, "one_field": alias}


def _flow(key: str, name: str, trigger: str, options: dict[str, Any]) -> dict[str, Any]:
    """Its first operation has the key's end of it."""
    return {
        "id": key, "name": name, "trigger": trigger, "options": options, "operation": _of(key), "date_created": MOMENT,
    }  # fmt: skip


def _operation(flow: str, key: str, kind: str, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _of(flow), "flow": flow, "key": key, "name": key, "type": kind, "options": options, "position_x": 19,
        "position_y": 1, "date_created": MOMENT,
    }  # fmt: skip


def _of(flow: str) -> str:
    return str(UUID(int=UUID(flow).int + 100))


def _activity(number: int, action: str) -> dict[str, Any]:
    return {
        "id": number, "action": action, "user": ADMIN, "timestamp": MOMENT, "ip": "127.0.0.1", "collection": "articles",
        "item": "1",
    }  # fmt: skip
