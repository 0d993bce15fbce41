"""Harms: inject, verify, heal, verify gone. One family a file."""
