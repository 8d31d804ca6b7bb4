"""``netd run``: the daemon, in the foreground. Exit: 0 after SIGTERM."""

from __future__ import annotations

import argparse

from .main import need_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``netd run`` has no arguments of its own."""


def run(options: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    need_root("run")
    from netd.daemon import Daemon

    return Daemon(options.config_dir, options.state_dir, options.cache_dir).run()
