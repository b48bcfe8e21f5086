# SPDX-License-Identifier: Apache-2.0
"""Requests about many partitions of one topic at once, and a broker that may open only so many files."""
import os
import pathlib
import struct
import threading
import time

from harness import Broker
from wire import text

PRODUCE, FETCH = 0, 1
MEBI = 1 << 20
PATIENCE_MS = 600_000
TICKS = os.sysconf("SC_CLK_TCK")


class Limited(Broker):
    """With a hard limit of open files. `run.start()` starts it: `with` does not."""

    def __init__(self, open_files, *overrides, directory=None):
        super().__init__(*overrides, directory=directory)
        self.open_files = open_files
        self.most_open = 0
        self.watching = True
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.watching = False
        super().__exit__(*failure)

    def command(self):
        return ["prlimit", f"--nofile={self.open_files}:{self.open_files}", *super().command()]

    def stop(self):
        """As the harness does, but it may take its time: with many partitions that is what one looks at."""
        self.process.terminate()
        code = self.process.wait(PATIENCE_MS / 1000)
        self._forget()
        assert code == 0, f"the broker ended with {code}:\n" + "".join(self.lines[-40:])

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, name="VmRSS"):
        """In MiB."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        return 0.0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _watch(self):
        while self.watching:
            try:
                self.most_open = max(self.most_open, self.descriptors())
            except (AttributeError, FileNotFoundError, ProcessLookupError):
                pass  # It is not running now.
            time.sleep(0.02)

    def settle(self, most=1800):
        """Until it used next to no CPU for a second; the seconds that took."""
        began, before = time.monotonic(), self.cpu()
        while time.monotonic() - began < most:
            time.sleep(1)
            now = self.cpu()
            if now - before < 0.05:
                break
            before = now
        return max(0.0, time.monotonic() - began - 1)


def produce(wire, topic, partitions, records):
    body = text(None) + struct.pack(">hii", -1, PATIENCE_MS, 1) + text(topic) + struct.pack(">i", len(partitions))
    for partition in partitions:
        body += struct.pack(">ii", partition, len(records)) + records
    wire.send(PRODUCE, 7, body)
    _, answer = wire.receive()
    at = 4 + 2 + len(topic) + 4
    for _ in partitions:
        partition, error, *_ = struct.unpack_from(">ihqqq", answer, at)
        assert error == 0, f"{topic}-{partition}: produce answered {error}"
        at += 30


def fetch(wire, topic, partitions, offset):
    """The records of each partition, as bytes."""
    body = struct.pack(">iiiibi", -1, 1000, 1, 64 * MEBI, 0, 1) + text(topic) + struct.pack(">i", len(partitions))
    for partition in partitions:
        body += struct.pack(">iqi", partition, offset, 4096)
    wire.send(FETCH, 4, body)
    _, answer = wire.receive()
    at, found = 4 + 4 + 2 + len(topic) + 4, {}
    for _ in partitions:
        partition, error, _, _, aborted = struct.unpack_from(">ihqqi", answer, at)
        assert error == 0, f"{topic}-{partition}: fetch answered {error}"
        at += 26 + 16 * max(aborted, 0)
        size = struct.unpack_from(">i", answer, at)[0]
        found[partition] = answer[at + 4:at + 4 + max(size, 0)]
        at += 4 + max(size, 0)
    return found
