"""Sea trials for services: deploy the real artefact, use it, break it, and get a verdict that can be trusted."""

__version__ = "0.1.0"

__all__: list[str] = []
