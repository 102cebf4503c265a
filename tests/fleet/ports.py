"""Free ports, chosen before who listens there starts."""

import socket


def free_port(host="127.0.0.1"):
    """A port that nobody listens at; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
