"""A process that is no part of a run and gets in its way: it takes the app's port, or writes into its data folder.

foreign.py port OUT   waits for a service that was told to listen, takes that port first, answers as if it were healthy,
                      and prints one line for each request.
foreign.py files OUT  waits for the data folder of a run below OUT and writes into it, again and again.
"""

import http.server
import sys
import time
from pathlib import Path

import psutil


def port_of_service(out: str) -> int:
    """Return the port in the arguments of the service of a run below `out`, as soon as it is there."""
    while True:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "--port" in words and any(word.startswith(out) for word in words):
                return int(words[words.index("--port") + 1])
        time.sleep(0.02)


class Impostor(http.server.BaseHTTPRequestHandler):
    """Says that it is healthy, and takes every write."""

    def answer(self) -> None:
        print(self.command, self.path, flush=True)
        body = b"1.0" if self.path == "/version" else b"ok kv"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on stderr."""


def squat(out: Path) -> None:
    """Write a file into the run's data folder, also when it was just removed."""
    while not (found := list(out.glob("*/work"))):
        time.sleep(0.01)
    while True:
        try:
            found[0].mkdir(parents=True, exist_ok=True)
            (found[0] / "backup.tmp").write_text("a backup job that nobody told about the trial")
        except OSError:
            pass
        time.sleep(0.0005)


if __name__ == "__main__":
    if sys.argv[1] == "port":
        http.server.ThreadingHTTPServer(("127.0.0.1", port_of_service(sys.argv[2])), Impostor).serve_forever()
    else:
        squat(Path(sys.argv[2]))
