"""The watch of the folder, where the kernel has no watches left: limits of a user namespace of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import need_root

SCRIPT = """
import sys, threading
from netd.daemon.directory_watch import DirectoryWatch
changed = threading.Event()
watch = DirectoryWatch(sys.argv[1], changed.set, print)
open(sys.argv[1] + "/a.toml", "w").close()
print("seen" if changed.wait(float(sys.argv[2])) else "unseen")
watch.close()
"""


@pytest.mark.parametrize(
    ("instances", "watches", "seen"),
    [(0, 9, "unseen"), (1, 0, "unseen"), (1, 9, "seen")],
    ids=["no-instance", "no-watch", "enough"],
)
def test_a_directory_that_cannot_be_watched_is_said_and_ends_nothing(
    tmp_path: os.PathLike[str], instances: int, watches: int, seen: str
) -> None:
    need_root()
    limits = (
        f"echo {instances} > /proc/sys/user/max_inotify_instances; echo {watches} > /proc/sys/user/max_inotify_watches"
    )
    wait = "20" if seen == "seen" else "0.2"
    command = ["unshare", "-U", "-r", "sh", "-ec", f'{limits}; exec "$@"', "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", SCRIPT, str(tmp_path), wait], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == seen
    assert ("fs.inotify" in done.stdout) == (seen == "unseen")


def test_where_the_kernel_has_no_instance_left_it_is_said_what_to_do() -> None:
    need_root()
    script = "from netd.kernel.inotify import Inotify\nprint(Inotify().trouble)"
    limited = 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$@"'
    command = ["unshare", "-U", "-r", "sh", "-ec", limited, "sh", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("inotify: Too many open files: raise the sysctl fs.inotify.max_user_instances")
