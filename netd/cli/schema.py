"""``netd schema``: the JSON schema of the files, for editors. Exit: 0."""

from __future__ import annotations

import argparse
import json

from netd.config.diagnostics.json_schema import json_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd schema``: none."""


def run(options: argparse.Namespace) -> int:
    """Prints the schema."""
    print(json.dumps(json_schema(), indent=2))
    return 0
