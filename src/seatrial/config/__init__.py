"""Text to values: app.toml, scenarios, knobs; every mistake is reported at once."""
