"""Text to values: app.toml, scenarios, knobs; every mistake reported at once."""
