"""Who listens on a TCP port of this machine, and ports that nobody else uses."""

from __future__ import annotations

import os
import secrets
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from seatrial.host import proc

_LISTEN = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_TRIES = 2000
_taken: set[int] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listening socket: its inode, the address it is bound to, the uid of its maker, and who holds it.

    pids is empty when no holder could be seen (the process of another user).
    """

    inode: int
    host: str
    port: int
    uid: int
    pids: tuple[int, ...] = ()

    def owner(self) -> str:
        """Return the holder in plain words."""
        if self.pids:
            return proc.describe(self.pids[0])
        return f"a process of uid {self.uid} that cannot be looked at"


def can_look() -> bool:
    """Return whether this system tells who listens where (Linux does)."""
    return os.access(_TABLES[0], os.R_OK)


def listeners(port: int, host: str = "127.0.0.1", among: Iterable[int] | None = None) -> list[Listener]:
    """Return the sockets that would take a connection to host:port, with their holders (searched among these pids)."""
    sockets = [one for one in listening_sockets() if one.port == port and _reaches(one.host, host)]
    if not sockets:
        return []
    held = holders({one.inode for one in sockets}, among)
    return [_with_pids(one, held.get(one.inode, ())) for one in sockets]


def listening_sockets() -> list[Listener]:
    """Return all listening TCP sockets of this network namespace, without their holders."""
    found = []
    for table in _TABLES:
        try:
            with open(table) as file:
                lines = file.readlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN:
                address, _, port = fields[1].partition(":")
                host = _host(address)
                found.append(Listener(inode=int(fields[9]), host=host, port=int(port, 16), uid=int(fields[7])))
    return found


def holders(inodes: set[int], among: Iterable[int] | None = None) -> dict[int, tuple[int, ...]]:
    """Return for each socket inode the pids that have it open, as far as they may be looked at."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, set[int]] = {}
    for pid in proc.pids() if among is None else among:
        for target in _links(f"/proc/{pid}/fd"):
            if target in wanted:
                found.setdefault(wanted[target], set()).add(pid)
    return {inode: tuple(sorted(pids)) for inode, pids in found.items()}


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nothing is bound to and that this process was not given before.

    It lies below the range that the kernel takes for outgoing connections: otherwise, while the app is down, one of
    thousands of client connections could take it, and the app could not start again. Raises OSError.
    """
    low, high = 10240, _ephemeral_start()
    if high - low < 1000:  # a machine that gives nearly all ports to outgoing connections
        return _kernel_port(host)
    for _ in range(_TRIES):
        port = low + secrets.randbelow(high - low)
        if port not in _taken and can_bind(host, port):
            _taken.add(port)
            return port
    raise OSError(f"no free port between {low} and {high} on {host} after {_TRIES} tries")


def give_back(ports: Iterable[int]) -> None:
    """Say that these ports of free_port are not needed any more."""
    _taken.difference_update(ports)


def can_bind(host: str, port: int) -> bool:
    """Return whether the port could be bound now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _kernel_port(host: str) -> int:
    for _ in range(_TRIES):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in _taken:
            _taken.add(port)
            return port
    raise OSError(f"no free port on {host}")


def _ephemeral_start() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            return int(file.read().split()[0])
    except OSError:
        return 32768


def _host(hexed: str) -> str:
    raw = bytes.fromhex(hexed)
    words = struct.unpack(f"={len(raw) // 4}I", raw)  # the kernel prints each 32 bit word in the machine's own order
    packed = struct.pack(f"!{len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _reaches(bound: str, wanted: str) -> bool:
    """Tell whether a connection to `wanted` ends at a socket that is bound to `bound`."""
    plain = bound.removeprefix("::ffff:")
    return plain in (wanted, "0.0.0.0", "::")


def _with_pids(one: Listener, pids: tuple[int, ...]) -> Listener:
    return Listener(inode=one.inode, host=one.host, port=one.port, uid=one.uid, pids=pids)


def _links(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []
    found = []
    for name in names:
        try:
            found.append(os.readlink(f"{folder}/{name}"))  # noqa: PTH115
        except OSError:
            continue
    return found
