#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What many partitions cost one node: creation, a record written to and read from every one of them, memory and
descriptors, a clean stop, both kinds of restart. `./dev bench partitions [--partitions 20000] [--topics 10]
[--open-files 20000] [--output json]`; OTTLA=<binary> measures another one.

One connection in Python sends requests of up to 2,000 partitions; its own time is small beside the broker's. "Settled"
means that the broker used next to no CPU for a second: the files of all partitions are there by then.
"""
import argparse
import json
import os
import pathlib
import shutil
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "integration"))
from harness import Broker  # noqa: E402
from wire import Wire, batch, text  # noqa: E402

CREATE_TOPICS, PRODUCE, FETCH = 19, 0, 1
MEBI = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")


class Limited(Broker):
    """With a hard limit of open files."""

    def __init__(self, open_files, *overrides, directory=None):
        super().__init__(*overrides, directory=directory)
        self.open_files = open_files
        self.most_open = 0
        self.watching = True
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self):
        return self

    def command(self):
        return ["prlimit", f"--nofile={self.open_files}:{self.open_files}", *super().command()]

    def stop(self):
        """As the harness does, but a stop may take its time: it is what is measured."""
        self.process.terminate()
        code = self.process.wait(1800)
        self._forget()
        assert code == 0, f"the broker ended with {code}:\n" + "".join(self.lines[-40:])

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, name="VmRSS"):
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
                pass
            time.sleep(0.02)

    def settle(self, most=1800):
        """Until it is idle; the seconds that took."""
        began, before = time.monotonic(), self.cpu()
        while time.monotonic() - began < most:
            time.sleep(1)
            now = self.cpu()
            if now - before < 0.05:
                break
            before = now
        return max(0.0, time.monotonic() - began - 1)


def create(wire, topic, partitions):
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihiii?", partitions, 1, 0, 0, 600_000, False)
    wire.send(CREATE_TOPICS, 4, body)
    _, answer = wire.receive()
    error = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic))[0]
    assert error == 0, f"{topic} was not created: {error}"


def produce(wire, topic, partitions, records):
    body = text(None) + struct.pack(">hii", -1, 600_000, 1) + text(topic) + struct.pack(">i", len(partitions))
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
    """How many of them answered with records."""
    body = struct.pack(">iiiibi", -1, 1000, 1, 64 * MEBI, 0, 1) + text(topic) + struct.pack(">i", len(partitions))
    for partition in partitions:
        body += struct.pack(">iqi", partition, offset, 4096)
    wire.send(FETCH, 4, body)
    _, answer = wire.receive()
    at, found = 4 + 4 + 2 + len(topic) + 4, 0
    for _ in partitions:
        partition, error, _, _, aborted = struct.unpack_from(">ihqqi", answer, at)
        assert error == 0, f"{topic}-{partition}: fetch answered {error}"
        at += 26 + 16 * max(aborted, 0)
        size = struct.unpack_from(">i", answer, at)[0]
        found += size > 0
        at += 4 + max(size, 0)
    return found


class Measure:
    def __init__(self, options):
        self.options = options
        self.rows = {}

    def note(self, name, value, unit):
        self.rows[name] = value
        if self.options.output == "text":
            print(f"{name:<46} {value:>10.2f} {unit}", flush=True)

    def state(self, broker, when):
        self.note(f"resident {when}", broker.memory(), "MiB")
        self.note(f"open files {when}", float(broker.descriptors()), "")

    def topics(self):
        each = self.options.partitions // self.options.topics
        return [(f"big{number}", each) for number in range(self.options.topics)]

    def slices(self, most):
        for topic, count in self.topics():
            for first in range(0, count, most):
                yield topic, range(first, min(first + most, count))

    def timed(self, broker, name, work):
        began, cpu = time.monotonic(), broker.cpu()
        result = work()
        self.note(name, time.monotonic() - began, "s")
        self.note(f"{name}, CPU of the broker", broker.cpu() - cpu, "s")
        return result

    def use(self, broker, records, offset):
        wire = Wire(broker.port, 1800)
        self.timed(broker, "a record to each", lambda: [
            produce(wire, topic, part, records) for topic, part in self.slices(2000)])
        self.note("settled after", broker.settle(), "s")
        self.state(broker, "after writing")
        read = self.timed(broker, "read from each", lambda: sum(
            fetch(wire, topic, part, offset) for topic, part in self.slices(1000)))
        assert read == sum(count for _, count in self.topics()), f"only {read} partitions gave their record"
        self.state(broker, "after reading")

    def first_record(self, broker, name, records):
        """From exec until a record was taken; the harness waits for the line that says ready."""
        began = time.monotonic()
        broker.start()
        topic, count = self.topics()[-1]
        wire = Wire(broker.port, 1800)
        produce(wire, topic, [count - 1], records)
        self.note(name, time.monotonic() - began, "s")
        wire.close()

    def run(self, broker):
        records = batch([b"x" * 100], timestamp=int(time.time() * 1000))
        broker.start()
        self.state(broker, "at first")
        wire = Wire(broker.port, 1800)
        self.timed(broker, "creation", lambda: [create(wire, *topic) for topic in self.topics()])
        wire.close()
        self.state(broker, "after creation")
        self.timed(broker, "their files", broker.settle)
        self.state(broker, "idle")
        self.use(broker, records, 0)
        self.note("most open files", float(broker.most_open), "")
        self.note("most resident", broker.memory("VmHWM"), "MiB")
        for how, name in [("stop", "clean stop"), ("kill", "kill")]:
            began = time.monotonic()
            getattr(broker, how)()
            self.note(name, time.monotonic() - began, "s")
            self.first_record(broker, f"exec to first record after a {name}", records)
            self.note("settled after", broker.settle(), "s")
            self.state(broker, f"after a {name}")
        began = time.monotonic()
        broker.stop()
        self.note("second clean stop", time.monotonic() - began, "s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=20_000)
    parser.add_argument("--topics", type=int, default=0, help="one for every 2,000 partitions by default")
    parser.add_argument("--open-files", type=int, default=20_000)
    parser.add_argument("--directory", help="where the data goes; removed afterwards")
    parser.add_argument("--override", action="append", default=[])
    parser.add_argument("--output", choices=["text", "json"], default="text")
    options = parser.parse_args()
    options.topics = options.topics or max(1, options.partitions // 2000)
    measure = Measure(options)
    if options.directory:
        os.makedirs(options.directory)
    broker = Limited(options.open_files, *options.override, directory=options.directory)
    with broker:
        measure.run(broker)
    broker.watching = False
    if options.directory:
        shutil.rmtree(options.directory)
    if options.output == "json":
        print(json.dumps(measure.rows, indent=2))


main()
