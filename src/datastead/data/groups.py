"""What stands in what: collections in folders, and fields in groups (`meta.group`). Pure."""

from collections.abc import Mapping
from typing import Any

from datastead.data.columns import checked_object, invalid
from datastead.data.schema import Collection, Schema

Groups = Mapping[str, Any]
"""By name, the group that a collection or field is in; None = in none."""


def groups_of(payloads: Mapping[str, Any]) -> dict[str, Any]:
    """The groups that payloads ask for. payloads: by name; those that say nothing of a group are left out."""
    metas = {name: checked_object(payload.get("meta"), "meta") for name, payload in payloads.items()}
    return {name: meta["group"] for name, meta in metas.items() if "group" in meta}


def check_collections(schema: Schema, wanted: Groups, new: Groups | None = None) -> None:
    """Raises `InvalidPayload` for a group that there is not, and for one that a collection is around itself.

    wanted: what changes; what is so already may stay. new: of collections that there will be.
    """
    now = {name: each.meta.get("group") if each.meta else None for name, each in schema.collections.items()}
    _check("collection", now, wanted, new or {}, "")


def check_fields(collection: Collection | None, wanted: Groups, new: Groups | None = None) -> None:
    """The same for the fields of a collection; None = a new one."""
    fields = collection.fields if collection is not None else {}
    now = {name: item.meta.get("group") if item.meta else None for name, item in fields.items()}
    owner = f" of `{collection.name}`" if collection is not None else ""
    _check("field", now, wanted, new or {}, owner)


def _check(word: str, now: Groups, wanted: Groups, new: Groups, owner: str) -> None:
    asked = {**new, **wanted}
    known = {**now, **asked}
    for name, group in asked.items():
        if group is None or (name in now and group == now[name]):
            continue
        if not isinstance(group, str) or group not in known:
            reason = f"`meta.group` of `{name}`: there is no {word} `{str(group)[:100]}`{owner}"
            raise invalid(reason, field="group", value=str(group)[:100])
        if _leads_to(name, group, known):
            raise invalid(f"`meta.group` of `{name}`: `{group}` is in it, or is it", field="group", value=group)


def _leads_to(name: str, group: Any, known: Groups) -> bool:
    """Whether one comes from the group to the name, going outwards."""
    seen = set[Any]()
    while group is not None and group not in seen:
        if group == name:
            return True
        seen.add(group)
        group = known.get(group)
    return False
