"""Verdict and events to text and pages; never judges."""
