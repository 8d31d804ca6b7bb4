"""``netd run``: the daemon, in the foreground. Exit: 0 after SIGTERM."""

from __future__ import annotations

import argparse

from .main import need_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd run``."""
    parser.add_argument(
        "--host-mounts",
        action="store_true",
        help="give namespaces their names where process 1 sees them: for a unit with a mount namespace of its own",
    )


def run(options: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    need_root("run")
    from netd.daemon import Daemon

    daemon = Daemon(options.config_dir, options.state_dir, options.cache_dir, host_mounts=options.host_mounts)
    return daemon.run()
