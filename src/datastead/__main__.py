"""`python -m datastead` is the command `datastead`."""

from datastead.cli import main

if __name__ == "__main__":
    main()
