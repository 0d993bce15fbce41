"""Checkers of recorded histories that need no search: one or a few passes over the ops, near-linear in their number."""
