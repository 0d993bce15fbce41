"""Where artefacts come from, and the cache that holds them."""

from seatrial.artefacts.apt import Apt
from seatrial.artefacts.cache import Cache
from seatrial.artefacts.npm import Npm
from seatrial.artefacts.path import LocalPath
from seatrial.artefacts.pypi import Pypi
from seatrial.artefacts.workshop import Workshop

__all__ = ["Apt", "Cache", "LocalPath", "Npm", "Pypi", "Workshop"]
