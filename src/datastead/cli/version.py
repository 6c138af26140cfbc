"""`datastead version`."""

import datastead


def version() -> None:
    """Print the version."""
    print(datastead.__version__)
