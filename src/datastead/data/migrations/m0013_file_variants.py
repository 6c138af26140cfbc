"""Transformed images that are kept, and uploads that come in several requests."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates their tables, each where it is missing."""
    for table in (system.file_variants, system.uploads, system.upload_parts):
        table.create(transaction.connection, checkfirst=True)
