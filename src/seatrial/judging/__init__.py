"""Judges recordings of any tool: a file in, a finding out. The names here are all that others use."""

from seatrial.judging.asking import Asked, own_model, value_of
from seatrial.judging.checking import check, pictures
from seatrial.judging.loading import STDIN, load, part

__all__ = ["STDIN", "Asked", "check", "load", "own_model", "part", "pictures", "value_of"]
