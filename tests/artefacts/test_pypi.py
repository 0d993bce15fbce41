"""The pypi provider against the real index, and against a small index of our own that gives upload times."""

from __future__ import annotations

import asyncio
import dataclasses
import http.server
import io
import json
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from seatrial.artefacts import Cache, Pypi, Workshop
from seatrial.errors import EnvironmentTrouble, UsageError
from seatrial.plan import Artefact

pytestmark = pytest.mark.real


def package(name: str, version: str, **options: object) -> Artefact:
    return Artefact(name="app", provider="pypi", package=name, version=version, options=options)


def trouble(shop: Workshop, artefact: Artefact) -> str:
    with pytest.raises(EnvironmentTrouble) as caught:
        asyncio.run(Pypi(shop).install(artefact, lambda line: None))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_package_gets_its_own_venv_and_comes_from_the_cache_afterwards(shop: Workshop, said: list[str]) -> None:
    first = asyncio.run(Pypi(shop).install(package("radicale", "3.9.0"), said.append))
    seen = subprocess.run([first.values["python"], "-m", "radicale", "--version"], capture_output=True, text=True)
    assert seen.stdout.strip() == "3.9.0"
    assert first.version == "3.9.0"
    assert (Path(first.values["bin"]) / "radicale").exists()
    assert (Path(first.values["site"]) / "radicale").is_dir()
    assert said[0] == "radicale 3.9.0: installing with pip ..."
    assert said[-1].startswith("radicale 3.9.0: installed in ")
    again = asyncio.run(Pypi(shop).install(package("radicale", "3.9.0"), said.append))
    assert again == first
    assert said[-1] == "radicale 3.9.0: already in the cache"


def test_the_digest_is_of_the_contents_and_not_of_the_place(shop: Workshop, tmp_path: Path) -> None:
    other = dataclasses.replace(shop, cache=Cache(tmp_path / "elsewhere"))
    lock = "radicale==3.8.3\n"
    one, two, newer = (
        asyncio.run(Pypi(where).install(package("radicale", version, lock_text=text), lambda line: None))
        for where, version, text in ((shop, "3.8.3", lock), (other, "3.8.3", lock), (shop, "3.9.0", ""))
    )
    assert one.root != two.root
    assert one.digest == two.digest != newer.digest


def test_a_lock_decides_the_versions_of_dependencies(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("radicale==3.1.0\nvobject==0.9.6.1\nsetuptools==70.0.0\n")
    got = asyncio.run(Pypi(shop).install(package("radicale", "3.1.0", lock="old.txt"), lambda line: None))
    assert got.version == "3.1.0"
    assert (Path(got.values["site"]) / "vobject-0.9.6.1.dist-info").is_dir()


def test_a_lock_of_another_version_is_refused(shop: Workshop) -> None:
    text = trouble(shop, package("is-odd-not-there", "1", lock_text="wheel==0.45.1\n", **{"with": ["wheel"]}))
    assert "no package 'is-odd-not-there'" in text
    with pytest.raises(UsageError, match=r"artefacts.app.lock = .*nope.txt.*: cannot be read"):
        asyncio.run(Pypi(shop).install(package("wheel", "0.45.1", lock="nope.txt"), lambda line: None))


def test_an_unknown_version_names_the_nearest(shop: Workshop) -> None:
    text = trouble(shop, package("radicale", "3.8.99"))
    assert "radicale 3.8.99: the package index has no version 3.8.99" in text
    assert "3.8.3" in text
    assert "3.9.0" in text


def test_an_unknown_package_says_so(shop: Workshop) -> None:
    assert "the package index has no package 'seatrial-no-such-thing'" in trouble(
        shop, package("seatrial-no-such-thing", "1.0")
    )


def test_a_wrong_python_says_which_is_needed(shop: Workshop) -> None:
    assert "Python 3.99 is not on this machine" in trouble(shop, package("radicale", "3.9.0", python="3.99"))


def test_no_network_is_told_apart_from_no_package(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "CONFIG_FILE": os.devnull, "FIND_LINKS": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_RETRIES", "0")  # pip is silent about the network then
    text = trouble(shop, package("radicale", "3.9.0"))
    assert "radicale 3.9.0: no network to the package source" in text
    assert not list(shop.cache.root.glob("pypi/radicale*"))


def test_unknown_options_are_all_reported(shop: Workshop) -> None:
    with pytest.raises(UsageError) as caught:
        asyncio.run(Pypi(shop).install(package("radicale", "3.9.0", pyton="3.11", extras=3), lambda line: None))
    assert len(caught.value.mistakes) == 2
    assert "did you mean 'python'?" in str(caught.value)


def wheel(name: str, version: str, requires: str = "") -> bytes:
    """Build a wheel with one module that says its version."""
    info, buffer = f"{name}-{version}.dist-info", io.BytesIO()
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))
    return buffer.getvalue()


NEEDS = {"raft-1.0-py3-none-any.whl": "<3.8"}
FILES = {  # file name -> (uploaded, contents)
    "ship-1.0-py3-none-any.whl": ("2020-01-01T00:00:00Z", wheel("ship", "1.0", "sail>=1")),
    "sail-1.0-py3-none-any.whl": ("2020-01-01T00:00:00Z", wheel("sail", "1.0")),
    "sail-2.0-py3-none-any.whl": ("2024-01-01T00:00:00Z", wheel("sail", "2.0")),
    "raft-1.0-py3-none-any.whl": ("2020-01-01T00:00:00Z", wheel("raft", "1.0")),
}


class Index(http.server.BaseHTTPRequestHandler):
    """A package index with upload times (PEP 700)."""

    def do_GET(self) -> None:
        name = self.path.strip("/").rpartition("/")[2]
        if name in FILES:
            return self.answer(FILES[name][1], "application/octet-stream")
        rows = [
            {
                "filename": file,
                "url": f"/files/{file}",
                "hashes": {},
                "size": len(data),
                "upload-time": when,
                "requires-python": NEEDS.get(file),
            }
            for file, (when, data) in FILES.items()
            if file.startswith(f"{name}-")
        ]
        page = {"meta": {"api-version": "1.1"}, "name": name, "files": rows, "versions": []}
        return self.answer(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/simple"
    for name, value in {"INDEX_URL": url, "CONFIG_FILE": os.devnull, "FIND_LINKS": "", "EXTRA_INDEX_URL": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def test_before_resolves_dependencies_as_of_that_date(shop: Workshop, index: str) -> None:
    old = asyncio.run(Pypi(shop).install(package("ship", "1.0", before="2022-06-01"), lambda line: None))
    new = asyncio.run(Pypi(shop).install(package("ship", "1.0"), lambda line: None))
    found = [
        subprocess.run([got.values["python"], "-c", "import sail; print(sail.VERSION)"], capture_output=True, text=True)
        for got in (old, new)
    ]
    assert [seen.stdout.strip() for seen in found] == ["1.0", "2.0"]
    assert old.digest != new.digest
    assert "files from before 2019-01-01" in trouble(shop, package("ship", "1.0", before="2019-01-01"))
    assert "is no ISO date" in trouble(shop, package("ship", "1.0", before="last spring"))


def test_a_package_for_another_python_says_which(shop: Workshop, index: str) -> None:
    text = trouble(shop, package("raft", "1.0"))
    assert text == "raft 1.0: needs Python <3.8; install one and name it in the option `python`"


def test_a_dependency_that_cannot_be_found_is_named(shop: Workshop, index: str) -> None:
    assert "its dependency mast" in trouble(shop, package("ship", "1.0", **{"with": ["mast==3"]}))
