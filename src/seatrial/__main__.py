"""The command `seatrial`, also as `python -m seatrial`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from seatrial.cli.door import run_command

    sys.exit(run_command(sys.argv[1:]))


if __name__ == "__main__":
    main()
