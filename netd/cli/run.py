"""``netd run``: the daemon, in the foreground. Exit: 0 after SIGTERM."""

from __future__ import annotations

import argparse

from .main import need_root

#: Files to open at once: watches and sockets of a thousand namespaces.
DESCRIPTORS = 65536

#: Said after Ctrl-C.
INTERRUPTED = "interrupted before the daemon was ready; the network stays as it is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd run``."""
    parser.add_argument(
        "--host-mounts",
        action="store_true",
        help="mount named namespaces in the mount namespace of process 1: for a unit that has its own mount namespace",
    )
    parser.add_argument(
        "--metrics-port", metavar="PORT", type=port, help="metrics for Prometheus on http://127.0.0.1:PORT/metrics"
    )
    parser.add_argument("--metrics-file", metavar="FILE", help="metrics in a file for node_exporter, every 15 seconds")


def port(text: str) -> int:
    """A TCP port; ValueError otherwise, which argparse expects."""
    value = int(text)
    if not 0 < value < 65536:
        raise ValueError(text)
    return value


def raise_descriptor_limit() -> None:
    """Raises the limit of open files to its maximum."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(DESCRIPTORS, hard) if hard != resource.RLIM_INFINITY else DESCRIPTORS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(options: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    need_root("run")
    from netd.daemon.daemon import Daemon

    raise_descriptor_limit()
    daemon = Daemon(options.config_dir, options.state_dir, options.cache_dir, host_mounts=options.host_mounts)
    if options.metrics_port is not None or options.metrics_file is not None:
        daemon.measure(options.metrics_port, options.metrics_file)
    return daemon.run()
