# SPDX-License-Identifier: Apache-2.0
"""A control group with a limit of memory, of either version, below our own; needs root or a delegated one."""
import contextlib
import os
import pathlib
import sys


class Group:
    """Below our own group, or at the top; `peak` is what its processes had at most."""

    def __init__(self, limit, name="memory"):
        problem = "no memory controller"
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            old = "memory" in controllers.split(",")
            if controllers and not old:
                continue
            base = pathlib.Path("/sys/fs/cgroup/memory" if old else "/sys/fs/cgroup")
            for parent in (base / path.lstrip("/"), base):
                self.path = parent / f"ottla-{name}-{os.getpid()}"
                self.names = ("memory.limit_in_bytes", "memory.max_usage_in_bytes") if old else ("memory.max", "memory.peak")
                try:
                    self.path.mkdir()
                    (self.path / self.names[0]).write_text(str(limit))
                    return
                except OSError as error:
                    problem = error
                    with contextlib.suppress(OSError):
                        self.path.rmdir()
        sys.exit(f"a control group cannot be made here ({problem}); run this as root")

    def peak(self):
        return int((self.path / self.names[1]).read_text())

    def remove(self):
        self.path.rmdir()

    def inside(self, words):
        """The command that runs `words` as a process of the group."""
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh", *words]
