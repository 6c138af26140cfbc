"""`datastead schema`: from one database to another, by a file."""

from pathlib import Path

from tests.cli.test_money import run


def test_a_schema_is_taken_compared_and_applied(tmp_path: Path) -> None:
    assert run(tmp_path, "schema", "snapshot", "empty.yaml").returncode == 0
    text = (tmp_path / "empty.yaml").read_text()
    entry = "collections:\n- collection: notes\n  meta: {note: mine}\n  schema: {name: notes}\n"
    field = (
        "fields:\n- {collection: notes, field: id, type: integer, meta: {}, schema: {is_primary_key: true, has_auto_increment: true}}\n"
        "- {collection: notes, field: text, type: text, meta: {note: words}, schema: {}}\n"
    )
    (tmp_path / "wanted.yaml").write_text(text.replace("collections: []\n", entry).replace("fields: []\n", field))
    shown = run(tmp_path, "schema", "diff", "wanted.yaml").stdout
    assert shown.splitlines() == ["+ collection notes", "+ field notes.id", "+ field notes.text"]
    assert "is applied" in run(tmp_path, "schema", "apply", "wanted.yaml", "--yes").stdout
    assert run(tmp_path, "schema", "diff", "wanted.yaml").stdout == "Nothing to change.\n"
    refused = run(tmp_path, "schema", "diff", "data.db")
    assert (refused.returncode, refused.stderr.count("Traceback")) == (1, 0)
