"""The apt provider against the real archive; nothing is installed into the system."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from seatrial.artefacts import Apt, Workshop
from seatrial.artefacts.apt import matches, upstream
from seatrial.errors import EnvironmentTrouble
from seatrial.plan import Artefact

real = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="the apt provider needs a Debian machine"),
]


def package(name: str, version: str, **options: object) -> Artefact:
    return Artefact(name="app", provider="apt", package=name, version=version, options=options)


def status() -> bytes:
    return Path("/var/lib/dpkg/status").read_bytes()


def output(got: object, *command: str) -> str:
    values = got.values  # type: ignore[attr-defined]
    env = {**os.environ, "LD_LIBRARY_PATH": values["lib"], "PATH": f"{values['path']}:{os.environ['PATH']}"}
    seen = subprocess.run(command, env=env, capture_output=True, text=True)
    return seen.stdout + seen.stderr


class TestReal:
    pytestmark = real

    def test_redis_by_the_prefix_of_its_version(self, shop: Workshop, said: list[str]) -> None:
        before = status()
        got = asyncio.run(Apt(shop).install(package("redis-server", "7.0"), said.append))
        assert got.values["upstream"].startswith("7.0.")
        assert upstream(got.version) == got.values["upstream"]
        assert f"v={got.values['upstream']}" in output(got, f"{got.values['bin']}/redis-server", "--version")
        assert "redis-tools=" in said[0]  # redis-server is a link into it
        assert status() == before
        assert asyncio.run(Apt(shop).install(package("redis-server", got.version), said.append)).root == got.root
        said.clear()
        assert asyncio.run(Apt(shop).install(package("redis-server", "7.0"), said.append)) == got
        assert said == ["redis-server 7.0: already in the cache"]

    def test_mosquitto_runs_with_the_libraries_unpacked_beside_it(self, shop: Workshop) -> None:
        got = asyncio.run(Apt(shop).install(package("mosquitto", "2.0"), lambda line: None))
        assert f"mosquitto version {got.values['upstream']}" in output(got, f"{got.values['sbin']}/mosquitto", "-h")

    def test_unknown_versions_and_packages_say_what_there_is(self, shop: Workshop) -> None:
        with pytest.raises(EnvironmentTrouble, match=r"apt on this machine has no version 99; nearest of \d+: .*7\.0"):
            asyncio.run(Apt(shop).install(package("redis-server", "99"), lambda line: None))
        with pytest.raises(EnvironmentTrouble, match="have no package 'no-such-thing'; run `apt-get update`"):
            asyncio.run(Apt(shop).install(package("no-such-thing", "1"), lambda line: None))
        with pytest.raises(EnvironmentTrouble, match="have no no-such-thing; run `apt-get update`, or correct `with`"):
            asyncio.run(
                Apt(shop).install(package("mosquitto", "2.0", **{"with": ["no-such-thing"]}), lambda line: None)
            )

    def test_no_network_is_said(self, shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        with pytest.raises(EnvironmentTrouble, match=r"redis-server 7\.0: no network to the package source"):
            asyncio.run(Apt(shop).install(package("redis-server", "7.0"), lambda line: None))
        assert not list(shop.cache.root.glob("apt/redis*"))


@pytest.mark.parametrize(
    ("version", "expected"),
    [("5:7.0.15-1~deb12u7", "7.0.15"), ("2.0.11-1.2+deb12u1", "2.0.11"), ("1.0", "1.0"), ("1:2.3", "2.3")],
)
def test_upstream_version(version: str, expected: str) -> None:
    assert upstream(version) == expected


@pytest.mark.parametrize(
    ("wanted", "version", "expected"),
    [
        ("7.0", "5:7.0.15-1", True),
        ("7.0.1", "5:7.0.15-1", False),
        ("7", "5:7.0.15-1", True),
        ("7.0.15", "5:7.0.15-1", True),
        ("0.15", "5:7.0.15-1", False),
    ],
)
def test_a_prefix_ends_between_parts(wanted: str, version: str, expected: bool) -> None:
    assert matches(wanted, version) is expected
