"""What people put around items: bookmarks, notifications, comments, translations, dashboards, versions and shares."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates their tables, each where it is missing."""
    for table in (
        system.presets, system.notifications, system.comments, system.translations, system.dashboards, system.panels,
        system.item_versions, system.shares,
    ):  # fmt: skip
        table.create(transaction.connection, checkfirst=True)
