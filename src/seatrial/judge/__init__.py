"""Pure checks: History in, Finding out. No IO, clock, or randomness that is not handed in."""
