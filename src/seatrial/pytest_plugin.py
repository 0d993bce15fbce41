"""The pytest plugin: run trials from tests, and mark which requirement a test proves."""
