"""The commands `seatrial history ...`: judge, cut and convert recordings of any tool; list models; test ourselves."""

from __future__ import annotations

from typing import Any

import click

from seatrial.errors import EXIT_PASS, UsageError

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

json_option = click.option("--json", "as_json", is_flag=True, help="Print data for a program instead of text.")
format_option = click.option(
    "--format", "format_", default="auto", show_default=True, help="Format of FILE; `history models` lists them."
)
keyed_option = click.option("--keyed", is_flag=True, help="Values are [key, value]: many independent objects.")


@click.group(context_settings=SETTINGS)
def history() -> None:
    """Judge a recording made by any tool.

    FILE is a recording, a run folder, a folder of Cobra's logs, or - for stdin; gzip is unpacked.
    """


@history.command()
@click.argument("file")
@click.option("--model", required=True, help="What the service should have been; `history models` lists them.")
@format_option
@keyed_option
@click.option("--nil", type=click.Choice(["wildcard", "strict"]), default="wildcard", show_default=True,
              help="A read of nil: always legal (as Knossos has it), or a value like others.")  # fmt: skip
@click.option(
    "--initial", default=None, metavar="VALUE", help="The value of every object at the start, as JSON or EDN."
)
@click.option("--level", default="", help="The isolation level to hold transactions against.")
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="A parameter of the model; may be repeated.")
@click.option(
    "--step", default=None, metavar="FILE.py", help="For the model `own`: defines step(state, f, arg, value)."
)
@click.option("--budget", default="60s", show_default=True, help="Time for the search; after it: inconclusive.")
@click.option("--memory", default="2GiB", show_default=True, help="Memory for the search; beyond it: inconclusive.")
@click.option("--html", default=None, metavar="OUT", help="Write a page with a picture of what was found.")
@click.option("--picture", is_flag=True, help="Draw what was found as text, below the finding.")
@json_option
def check(
    file: str,
    model: str,
    format_: str,
    keyed: bool,
    nil: str,
    initial: str | None,
    level: str,
    sets: tuple[str, ...],
    step: str | None,
    budget: str,
    memory: str,
    html: str | None,
    picture: bool,
    as_json: bool,
) -> int:
    """Judge FILE by a model.

    Exit codes: 0 pass, 1 fail, 2 inconclusive or not tested, 64 usage.
    """
    from seatrial import judging
    from seatrial.cli import history_show as show
    from seatrial.clock import SystemClock
    from seatrial.judge import models

    clock = SystemClock()
    models.load(model)  # a wrong name is told before a long file is read
    asked = judging.Asked(
        model=model,
        nil=nil,
        initial=None if initial is None else judging.value_of(initial),
        level=level,
        budget_s=show.quantity("--budget", budget),
        memory=int(show.quantity("--memory", memory)),
        extra=dict(_named(one) for one in sets) | (judging.own_model(step) if step else {}),
    )
    with show.Reading(clock) as told:
        recorded = judging.load(file, format_, keyed=keyed, told=told)
    finding = judging.check(recorded, asked, clock)
    drawn = judging.pictures(recorded, asked, clock) if html or picture else []
    code = show.answer(recorded, finding, asked, file, as_json)
    if picture and not as_json:
        show.draw(drawn)
    if html:
        show.write_page(html, recorded, finding, drawn)
    return code


@history.command(name="slice")
@click.argument("file")
@click.option("--ops", required=True, metavar="3,17,29", help="The numbers of the ops to keep, as findings name them.")
@click.option("-o", "--out", default="-", show_default=True, help="Where to; .edn or .jsonl says the format.")
@click.option("--to", type=click.Choice(["edn", "jsonl"]), default=None, help="The format to write.")
@format_option
def slice_(file: str, ops: str, out: str, to: str | None, format_: str) -> int:
    """Cut FILE to some ops, so that a finding can be looked at (and judged) alone."""
    from seatrial import judging
    from seatrial.cli import history_show as show
    from seatrial.clock import SystemClock

    wanted = _numbers(ops)
    with show.Reading(SystemClock()) as told:
        recorded = judging.load(file, format_, told=told)
    return show.write(judging.part(recorded, wanted), out, to)


@history.command()
@click.argument("file")
@click.option("-o", "--out", default="-", show_default=True, help="Where to; .edn or .jsonl says the format.")
@click.option("--to", type=click.Choice(["edn", "jsonl"]), default=None, help="The format to write.")
@format_option
def convert(file: str, out: str, to: str | None, format_: str) -> int:
    """Write FILE as EDN or JSON lines, for other tools."""
    from seatrial import judging
    from seatrial.cli import history_show as show
    from seatrial.clock import SystemClock

    with show.Reading(SystemClock()) as told:
        recorded = judging.load(file, format_, told=told)
    return show.write(recorded, out, to)


@history.command()
@json_option
def models(as_json: bool) -> int:
    """List the models and the formats."""
    from seatrial.cli import history_show as show

    click.echo(show.models_json() if as_json else "\n".join(show.models_text()))
    return EXIT_PASS


@history.command()
@click.option("--model", default=None, help="Only this model.")
@click.option("-n", "rounds", type=click.IntRange(min=1), default=300, show_default=True,
              help="Small random histories a model.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="The seed of the random histories.")
@json_option
def selftest(model: str | None, rounds: int, seed: int, as_json: bool) -> int:
    """Try the installed checkers on random histories.

    Each is compared with a brute-force oracle, and must catch what is planted; the figures are printed.
    """
    from seatrial.cli import history_show as show

    return show.selftest(model, rounds, seed, as_json)


def _named(text: str) -> tuple[str, Any]:
    from seatrial import judging

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set {text}: NAME=VALUE is expected")
    return name.replace("-", "_"), judging.value_of(value)


def _numbers(text: str) -> list[int]:
    try:
        return [int(one) for one in text.replace(",", " ").split()]
    except ValueError:
        raise UsageError(f"--ops {text}: whole numbers with commas are expected, such as 3,17,29") from None
