"""The Functions host: `func start` if it is installed, otherwise a stand-in."""

from local.host.choice import choose_host
from local.host.coretools import CoreToolsHost
from local.host.errors import HostError
from local.host.standin import StandInHost

__all__ = ["CoreToolsHost", "HostError", "StandInHost", "choose_host"]
