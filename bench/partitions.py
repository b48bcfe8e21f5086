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
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "integration"))
from many import Limited, fetch, produce  # noqa: E402
from wire import Wire, batch  # noqa: E402


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
            sum(map(bool, fetch(wire, topic, part, offset).values())) for topic, part in self.slices(1000)))
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
        self.timed(broker, "creation", lambda: [wire.create_topic(*topic) for topic in self.topics()])
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
    if options.directory:
        shutil.rmtree(options.directory)
    if options.output == "json":
        print(json.dumps(measure.rows, indent=2))


main()
