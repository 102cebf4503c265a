"""A fleet of real processes for tests: gateways, routers, experts, redis-server, load generators."""

from .fleet import Fleet, NotReady, Unavailable
from .load import load_command, read_requests, start_load
from .metrics import Samples, scrape
from .models import tiny_input, write_tiny_model
from .usage import Usage, cpus, usage_of

__all__ = ["Fleet", "NotReady", "Samples", "Unavailable", "Usage", "cpus", "load_command", "read_requests",
           "scrape", "start_load", "tiny_input", "usage_of", "write_tiny_model"]
