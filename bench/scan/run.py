# SPDX-License-Identifier: Apache-2.0
"""What one consumer that reads a whole topic does to the others: ./dev bench scan --help

A sender and a consumer at the tail, at a fixed rate, measure end to end: alone, beside a consumer that reads a large topic
from its beginning while nothing of it is in the page cache (`cold`), the same with all of it there (`warm`), and alone
once more, which shows how much two equal steps differ. With --control also `elsewhere`: beside the warm scan of a second
broker of the same kind, which takes as much of the machine and nothing of the first broker. Each contestant's broker stays up over all rounds, its
topic is filled once; every round takes all steps of every contestant in turn, in changing order. In between the topic is
read with nothing beside it: MB/s and what the broker spends on a GB.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "versus_kafka"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/integration"))
sys.dont_write_bytecode = True
import brokers  # noqa: E402  (needs the paths above)
import machine  # noqa: E402
import measures  # noqa: E402
from control_group import Group  # noqa: E402

TOPIC = "large"
GIB, MIB = 2**30, 2**20
FILL_SECONDS = 5
SPARE = 10 * GIB  # What must stay free for whoever else uses the disk.
QUANTILES = ("p50", "p99", "p999")


def arguments():
    parser = argparse.ArgumentParser(prog="dev bench scan", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=3, help="of the topic that is read (default 3)")
    parser.add_argument("--partitions", type=int, default=4, help="of it; each is read by --scanners loops")
    parser.add_argument("--scanners", type=int, default=1, help="connections that read it, one request a partition each")
    parser.add_argument("--fetch-bytes", type=int, default=MIB, help="of a partition in one answer (default 1 MiB)")
    parser.add_argument("--rate", type=int, default=1000, help="paced records a second (default 1000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6, help="of each paced step (default 6)")
    parser.add_argument("--memory", type=int, metavar="MIB", help="each broker in a control group of its own")
    parser.add_argument("--system", choices=["ottla", "kafka", "both"], default="ottla")
    parser.add_argument("--build", action="append", metavar="NAME=PROGRAM[,KEY=VALUE...]",
                        help="compare these builds or settings of Ottla, instead of the one in --programs")
    parser.add_argument("--only", action="append", choices=["cold", "warm"])
    parser.add_argument("--control", action="store_true", help="also beside a scan of another broker")
    parser.add_argument("--touch-gib", type=float, default=2, help="memory touched and freed before each contestant's turn")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    parser.add_argument("--directory", default=str(machine.ROOT / "build"), help="where the brokers' data goes")
    parser.add_argument("--programs", default=str(machine.ROOT / "build/bench"), help="where ottla and ottla_load are")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def files_of(broker):
    """The segments of the large topic."""
    return list(pathlib.Path(broker.directory).rglob(f"{TOPIC}-*/*.log"))


class Contestant:
    """A broker with the large topic, and the steps that are taken with it."""

    def __init__(self, options, parent, name, programs, make):
        self.options, self.name, self.group = options, name, None
        self.broker = make(parent)
        self.other = make(parent) if options.control else None
        self.bench = measures.Bench(programs, parent, quick=False, touch_gib=options.touch_gib)
        if options.memory:
            self.group = Group(options.memory * MIB, name)
            command = self.broker.command
            self.broker.command = lambda: self.group.inside(command())

    def prepare(self):
        for broker in (self.broker, self.other):
            if broker:
                broker.prepare()
                broker.start()
                self.bench.load(broker, "first", "first", "--partitions", 1)
                self.fill(broker)
        self.paced(3)

    def fill(self, broker):
        while (have := sum(path.stat().st_size for path in files_of(broker))) < self.options.gib * GIB:
            if shutil.disk_usage(broker.directory).free < SPARE:
                raise measures.Failed(f"too little space is free in {broker.directory}")
            found = self.bench.load(broker, "produce", TOPIC, "--seconds", FILL_SECONDS, "--partitions",
                                    self.options.partitions, "--config", f"segment.bytes={256 * MIB}")
            say(f"{self.name}: {have / GIB:.1f} GiB on disk, {found['mb_per_s']:.0f} MB/s")

    def evict(self):
        for path in files_of(self.broker):
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def bring_in(self, broker=None):
        for path in files_of(broker or self.broker):
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                while file.read(4 * MIB):
                    pass

    def paced(self, seconds):
        found = self.bench.load(self.broker, "latency", "paced", "--rate", self.options.rate, "--record-bytes", 100,
                                "--warmup", 1, "--seconds", seconds)
        return {name: found[f"{name}_us"] / 1000 for name in QUANTILES}

    def scan(self, broker=None):
        """All of it once, and the load's figures."""
        return self.bench.load(broker or self.broker, "fetch", TOPIC, "--once", "--seconds", 120, "--partitions", self.options.partitions,
                               "--connections", self.options.scanners, "--in-flight", self.options.partitions,
                               "--fetch-bytes", self.options.fetch_bytes)

    def paced_beside_scan(self, cold=False, broker=None):
        """Scans follow each other until the paced step is done; MB/s counts whole scans."""
        ends, passes = threading.Event(), []

        def scans():
            while not ends.is_set():
                if cold:
                    self.evict()
                passes.append(self.scan(broker))

        scanning = threading.Thread(target=scans)
        scanning.start()
        time.sleep(0.5)
        try:
            found = self.paced(self.options.seconds)
        finally:
            ends.set()
            scanning.join()
        if not passes:
            raise measures.Failed("the scan failed")
        found["scan MB/s"] = sum(one["bytes"] for one in passes) / 1e6 / sum(one["seconds"] for one in passes)
        return found

    def round(self):
        self.bench.settle()
        found = {"alone": self.paced(self.options.seconds)}
        for kind in self.options.only or ("cold", "warm"):
            prepare = self.evict if kind == "cold" else self.bring_in
            prepare()
            one = self.scan()
            found[f"{kind} scan"] = {"MB/s": one["mb_per_s"], "CPU-s/GB": one["cpu_s_per_gb"]}
            prepare()
            found[kind] = self.paced_beside_scan(kind == "cold")
        if self.other:
            self.bring_in(self.other)
            found["elsewhere"] = self.paced_beside_scan(broker=self.other)
        found["alone again"] = self.paced(self.options.seconds)
        return found

    def remove(self):
        self.bench.close()
        for broker in (self.broker, self.other):
            if broker:
                broker.remove()
        if self.group:
            self.group.remove()


def contestants(options, parent):
    load = os.path.join(options.programs, "ottla_load")
    if options.build:
        for build in options.build:
            name, _, rest = build.partition("=")
            program, *settings = rest.split(",")
            programs = {"ottla": os.path.abspath(program), "load": load, "jars": ""}
            yield Contestant(options, parent, name, programs, lambda p, o=programs, s=settings: brokers.Ottla(p, o, s))
        return
    programs = {"ottla": os.path.join(options.programs, "ottla"), "load": load, "jars": ""}
    if options.system != "ottla":
        subprocess.run([brokers.KAFKA, "install"], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        programs["jars"] = machine.output_of(brokers.KAFKA, "jars")
        yield Contestant(options, parent, "kafka", programs, lambda p: brokers.Kafka(p, programs))
    if options.system != "kafka":
        yield Contestant(options, parent, "ottla", programs, lambda p: brokers.Ottla(p, programs))


def spread(values):
    values = sorted(values)
    return f"{statistics.median(values):9.2f}  {values[0]:8.2f} .. {values[-1]:.2f}"


def table(rounds):
    """Medians over the rounds, and from the least to the most; ratios are made within a round."""
    lines = []
    for name in rounds[0]:
        own = [one[name] for one in rounds if name in one]
        lines.append(f"\n{name:42}    median   over {len(own)} rounds")
        for step in own[0]:
            for key in own[0][step]:
                lines.append(f"{step + ', ' + key:42} {spread([one[step][key] for one in own])}")
        for step in own[0]:
            for key in QUANTILES if step != "alone" and "p50" in own[0][step] else ():
                ratios = [one[step][key] / one["alone"][key] for one in own]
                lines.append(f"{step + ' : alone, ' + key:42} {spread(ratios)}")
    return "\n".join(lines)


def main():
    options = arguments()
    parent = tempfile.mkdtemp(prefix="scan-", dir=options.directory)
    about, rounds, all_of = machine.facts(parent, ""), [], []
    about |= {key: getattr(options, key) for key in ("gib", "partitions", "scanners", "fetch_bytes", "rate", "memory")}
    try:
        for one in contestants(options, parent):
            all_of.append(one)
            one.prepare()
        for number in range(options.rounds):
            rounds.append({})
            for one in all_of if number % 2 == 0 else reversed(all_of):
                rounds[-1][one.name] = found = one.round()
                say(f"round {number + 1} {one.name}: " + ", ".join(
                    f"{step} " + " ".join(f"{value:.2f}" for value in values.values()) for step, values in found.items()))
    except measures.Failed as problem:
        say(f"FAILED: {problem}")
        return 1
    finally:
        for one in all_of:
            one.remove()
        shutil.rmtree(parent, ignore_errors=True)
    about["load_after"] = os.getloadavg()[0]
    if options.output == "json":
        print(json.dumps({"machine": about, "rounds": rounds}, indent=1))
    else:
        print("\n".join(f"{key}: {value}" for key, value in about.items()))
        print(table(rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
