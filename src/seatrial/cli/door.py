"""The one door out of the command line: every way a command can end becomes an exit code and a clear text."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from seatrial import __version__
from seatrial.cli.reader import read_by_nobody
from seatrial.errors import EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_PASS, EXIT_USAGE, InternalError, SeatrialError

HOME_URL = "https://github.com/seatrial/seatrial/issues"


def run_command(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code; what is written to stderr says why. Raises nothing."""
    from seatrial.cli.main import cli

    try:
        code = cli.main(args=list(arguments), prog_name="seatrial", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else EXIT_PASS
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("seatrial: interrupted", err=True)
        return EXIT_INTERRUPTED
    except (BrokenPipeError, SystemExit):  # a reader went away, which is its right; click makes a SystemExit of it
        read_by_nobody()
        return EXIT_PASS
    except InternalError as error:
        return _own_bug(error)
    except SeatrialError as error:
        click.echo(f"seatrial: {error}", err=True)
        return error.exit_code
    except Exception as error:
        return _own_bug(error)


def _own_bug(error: BaseException) -> int:
    text = "".join(traceback.format_exception(error))
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    click.echo(f"seatrial: this is a bug of seatrial, not of your app: {said}", err=True)
    click.echo(f"the traceback is in {_save(text)}; please report it at {HOME_URL}", err=True)
    return EXIT_INTERNAL


def _save(text: str) -> Path:
    from seatrial.clock import SystemClock, utc_stamp

    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "seatrial"
    name = f"crash-{utc_stamp(SystemClock().wall_ns())}-{os.getpid()}.txt"
    head = f"seatrial {__version__}, Python {sys.version.split()[0]}, {sys.platform}\n{' '.join(sys.argv)}\n\n"
    for folder in (state, Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(head + text)
            return folder / name
        except OSError:
            continue
    sys.stderr.write(head + text)
    return Path("the lines above")
