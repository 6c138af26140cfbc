"""Who wants to know of changes of items, at once: here, and in other processes of the same database."""
