"""What the commands that show the network have in common: the topology of the kernel, and what the files say."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from netd.config import Config
from netd.engine.observe.mirror import Mirror
from netd.engine.reconciler import Reconciler
from netd.errors import ConfigError, NetdError
from netd.model.key import Key, parse_key
from netd.model.status import State, Status
from netd.report.status import ask
from netd.topology.declaration import Declaration
from netd.topology.places import Places
from netd.topology.topology import Topology

from .setup import open_engine, read_files, scope_of

#: Seconds for the daemon's answer; without one, netd compares by itself.
PATIENCE = 5.0


class Look(NamedTuple):
    """``reconciler`` has compared, unless the daemon said the states; ``config`` has the problems of the files."""

    topology: Topology
    declaration: Declaration
    reconciler: Reconciler
    config: Config

    @property
    def mirror(self) -> Mirror:
        return self.reconciler.mirror


@contextmanager
def look(options: argparse.Namespace) -> Iterator[Look]:
    """Reads the kernel and the files, and changes nothing. Sessions are open inside."""
    config = files(options)
    reconciler = open_engine(options, write=False)
    reconciler.set_desired(config.desired, config.unknown)
    mirror = reconciler.mirror
    with mirror.reading():
        declaration = declared(options, config, reconciler)
        attached = [key.name for key in config.desired if key.is_namespace]
        topology = Topology(mirror, [*attached, *mirror.kernel.names()])
        yield Look(topology, declaration, reconciler, config)


def files(options: argparse.Namespace) -> Config:
    """The files; none where there is no directory: then this is a view of any machine."""
    if not os.path.isdir(options.config_dir):
        return Config({})
    options.paths = []
    try:
        return read_files(options, write=False)[0]
    except ConfigError as error:
        print(f"netd: {error}", file=sys.stderr)
        return Config({})


def declared(options: argparse.Namespace, config: Config, reconciler: Reconciler) -> Declaration:
    """With the states that the daemon knows, else with what differs now."""
    try:
        reply = ask(options.state_dir, {"verb": "status"}, timeout=PATIENCE)
    except NetdError:
        changes, statuses = reconciler.compare(scope_of(None))
        return Declaration(config.desired, statuses, changes, Places().text)
    return Declaration(config.desired, [status_of(row) for row in reply["objects"]], (), Places().text)


def status_of(row: dict[str, object]) -> Status:
    """One object of ``netd status --json``."""
    key: Key = parse_key(str(row["object"]))
    return Status(key, State(str(row["state"])), str(row["reason"]), str(row["file"]))
