"""Cookies of one simulated user for one server, when a user asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import parsedate_to_datetime


class CookieJar:
    """Keeps cookies by name and path; one host only, so domains do not matter."""

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        """Return the number of cookies held."""
        return len(self._cookies)

    def set(self, name: str, value: str, path: str = "/") -> None:
        """Hold a cookie."""
        self._cookies[name, path] = value

    def get(self, name: str) -> str | None:
        """Return the value of a cookie of any path."""
        return next((value for (known, _), value in self._cookies.items() if known == name), None)

    def take(self, set_cookies: Iterable[str], wall_s: float) -> None:
        """Read Set-Cookie headers; one that has expired by wall_s (seconds since the epoch) is dropped."""
        for text in set_cookies:
            first, *rest = text.split(";")
            name, equals, value = first.partition("=")
            if not equals or not name.strip():
                continue
            options = {k.strip().lower(): v.strip() for k, _, v in (part.partition("=") for part in rest)}
            key = (name.strip(), options.get("path") or "/")
            if _expired(options, wall_s):
                self._cookies.pop(key, None)
            else:
                self._cookies[key] = value.strip()

    def header(self, path: str) -> str:
        """Return the Cookie header for a request path, the longest paths first; empty when there is none."""
        path = path.partition("?")[0]
        fitting = [(p, f"{name}={value}") for (name, p), value in self._cookies.items() if _under(path, p)]
        return "; ".join(pair for _, pair in sorted(fitting, key=lambda f: -len(f[0])))


def _under(path: str, scope: str) -> bool:
    return path == scope or path.startswith(scope if scope.endswith("/") else scope + "/")


def _expired(options: dict[str, str], wall_s: float) -> bool:
    if "max-age" in options:
        try:
            return int(options["max-age"]) <= 0
        except ValueError:
            return False
    try:
        return "expires" in options and parsedate_to_datetime(options["expires"]).timestamp() <= wall_s
    except ValueError:
        return False
