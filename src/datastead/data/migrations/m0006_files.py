"""Files and folders, and the leases on bytes that no file has yet, or no more."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates their tables, each where it is missing."""
    for table in (system.folders, system.files, system.file_leases):
        table.create(transaction.connection, checkfirst=True)
