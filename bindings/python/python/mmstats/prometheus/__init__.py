"""prometheus_client, whose metrics mmstats publishes: one line in a program that uses it.

    import mmstats.prometheus

From then on all metrics of prometheus_client are published, also those of other packages, and its registries show the
sums over all processes of the application. The module has the names of prometheus_client, so that
`from mmstats.prometheus import Counter, start_http_server` works too. It needs the package prometheus_client.
"""

try:
    import prometheus_client as _client
except ImportError as error:
    raise ImportError("mmstats.prometheus needs the package prometheus_client") from error

from prometheus_client import *  # noqa: F403

from ._application import MultiProcessCollector, mark_process_dead
from ._install import close, install
from ._value import ValueClass

install()

__all__ = [*_client.__all__, "MultiProcessCollector", "ValueClass", "close", "install", "mark_process_dead"]
