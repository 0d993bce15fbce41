"""Recorded histories of other tools, from bytes to values and back. Pure: the caller reads the files."""
