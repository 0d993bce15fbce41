"""One self-contained HTML page with the pictures of a failed check of a recorded history. Offline, script or not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from seatrial.judge.modelling import LinearPicture, Picture
from seatrial.report import picture_cycle, picture_linear, text
from seatrial.verdict import Finding

HERE = Path(__file__).parent
_MOST = 12  # pictures on a page


def page(pictures: Sequence[Picture], finding: Finding, source: str) -> str:
    """Return the page. source: the name of the history. Pictures may be none: then the evidence stands alone."""
    drawn = [_drawn(p) for p in pictures[:_MOST]]
    return _template().render(
        drawn=drawn,
        left_out=len(pictures) - len(drawn),
        f=finding,
        source=source,
        word=text.WORDS,
        kinds=picture_cycle.KINDS,
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        own_style=Markup((HERE / "picture.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "picture.js").read_text(encoding="utf-8")),
    )


def _drawn(picture: Picture) -> dict[str, object]:
    if isinstance(picture, LinearPicture):
        return {"kind": "linear", "p": picture, "d": picture_linear.lay_out(picture), "bar": picture_linear.BAR}
    words = [(e.kind, picture_cycle.edge_words(e)) for e in picture.edges]
    drawing = picture_cycle.lay_out(picture)
    return {"kind": "cycle", "p": picture, "d": drawing, "box": picture_cycle.BOX, "edges": words}


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clip": text.clip, "line": text.clip_line, "number": text.number}
    return environment.get_template("picture.html.j2")
