"""`python -m datastead.testing.simulator --port N`: the simulator as a process of its own."""

import argparse

import uvicorn

from datastead.testing.simulator import create_simulator


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m datastead.testing.simulator", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8066)
    given = parser.parse_args()
    uvicorn.run(
        create_simulator(), host=given.host, port=given.port, log_level="critical", access_log=False, lifespan="off"
    )


if __name__ == "__main__":
    main()
