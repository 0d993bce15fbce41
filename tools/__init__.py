"""Generators of the documents that are computed from the code: never edited by hand, held by tests/tools."""
