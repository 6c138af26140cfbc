"""Commands as they are typed: each in a process of its own, forked from one that has loaded the program already.

To load it takes longer than nearly every command does. `test_serve` and `test_demo` start Python itself.
"""

import multiprocessing
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

LOADED = ("datastead.cli", "datastead.services", "datastead.cli.tables", "tests.cli.terminal")
LONGEST_S = 60.0

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(LOADED))


def typed(folder: Path, environment: Mapping[str, str], *arguments: str, given: str = "") -> "CompletedProcess[str]":
    """`datastead` with arguments, in a folder, with these variables and no others. given: what is typed into it."""
    with TemporaryDirectory() as streams:
        names = [Path(streams) / name for name in ("in", "out", "error")]
        names[0].write_text(given)
        process = _context.Process(target=_run, args=(folder, dict(environment), arguments, names))
        process.start()
        process.join(LONGEST_S)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"`datastead {' '.join(arguments)}` did not end within {LONGEST_S:.0f} s.")
        return CompletedProcess(["datastead", *arguments], process.exitcode, *(n.read_text() for n in names[1:]))


def _run(folder: Path, environment: dict[str, str], arguments: tuple[str, ...], streams: list[Path]) -> None:
    from datastead.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, (stream, mode) in enumerate(zip(streams, ("r", "w", "w"), strict=True)):
        with stream.open(mode) as file:
            os.dup2(file.fileno(), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    sys.argv = ["datastead", *arguments]
    warnings.simplefilter("error")
    main()
