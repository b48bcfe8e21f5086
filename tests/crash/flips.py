# SPDX-License-Identifier: Apache-2.0
"""One flipped bit in one file of a stopped broker's directory, and what the broker makes of it.

As a program it flips many and writes a line for each: flips.py [--each N] [--kind KIND]... (see --help).
"""
import argparse
import collections
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
sys.dont_write_bytecode = True
import load  # noqa: E402  (needs the path above)
from harness import Broker  # noqa: E402
from wire import Wire  # noqa: E402

START_LIMIT_SECONDS = STOP_LIMIT_SECONDS = 20
SETTINGS = ("ottla.shards=1", "log.cleaner.backoff.ms=100", "log.cleaner.min.cleanable.ratio=0.01")
QUIET = ("ottla.shards=1", "log.cleaner.enable=false")  # What is compared must not be cleaned meanwhile.
MOST_FAILED_FETCHES = 20
# Kind -> names, relative to the data directory.
KINDS = {
    "log": r"[^_/][^/]*/\d+\.log", "index": r"[^_/][^/]*/\d+\.index", "timeindex": r"[^_/][^/]*/\d+\.timeindex",
    "snapshot": r"[^_/][^/]*/\d+\.snapshot", "leader-epoch-checkpoint": r"[^_/][^/]*/leader-epoch-checkpoint",
    "partition.metadata": r"[^_/][^/]*/partition\.metadata",
    "checkpoint": r"(recovery|log|replication|cleaner)\S+-checkpoint",
    "meta.properties": r"meta\.properties", "clean-shutdown": r"\.kafka_cleanshutdown", "journal": r"\.ottla-journal-.*",
    "catalogue": r"\.ottla-catalogue-.*", "sums": r"(.*/\d*)?\.ottla-sums",
    "bootstrap": r"bootstrap\.checkpoint",
    "quorum-state": r"__cluster_metadata-0/quorum-state", "metadata log": r"__cluster_metadata-0/\d+\.log",
    "metadata index": r"__cluster_metadata-0/\d+\.(time)?index",
    "metadata snapshot": r"__cluster_metadata-0/.*\.checkpoint",
    "metadata epochs": r"__cluster_metadata-0/leader-epoch-checkpoint",
    "metadata id": r"__cluster_metadata-0/partition\.metadata",
}
GOOD = ("whole", "error", "refused")


class Prepared:
    """A directory as a broker left it, and what is in its partitions: (topic, partition) -> batches."""

    def __init__(self, directory, how):
        self.directory = directory
        self.how = how
        self.contents = {}
        self.last = {}  # (topic, partition) -> (batch, offset) that an idempotent producer wrote last

    def files(self, kind):
        root = pathlib.Path(self.directory, "data")
        names = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.stat().st_size)
        return sorted(name for name in names if re.fullmatch(KINDS[kind], name))

    def copy(self, into):
        subprocess.run(["cp", "-a", "--sparse=always", f"{self.directory}/data", into], check=True)

    def note(self, broker):
        wire = Wire(broker.port)
        for topic, partition in (("orders", 0), ("orders", 1), ("table", 0)):
            batches = list(load.read(wire, topic, partition))
            self.contents[topic, partition] = {base: (last, batch) for base, last, batch in batches}
        for where in (("orders", 0), ("orders", 1)):
            producers = {}
            for base, (_, batch) in self.contents[where].items():
                producers[load.HEADER.unpack_from(batch)[9]] = (batch, base)
            self.last[where] = [one for producer, one in sorted(producers.items()) if producer >= 0]
        wire.close()


def fill(broker, work, seconds):
    work.start()
    work.wait_until_written()
    time.sleep(seconds)
    work.stop()
    table = Wire(broker.port)
    for number in range(300):
        records = b"".join(load.record(key, b"%d-%d" % (number, key) + b"v" * 400, b"key-%d" % key)
                           for key in range(20))
        error, _ = table.produce("table", load.seal(20, records, int(time.time() * 1000)))
        assert error == 0, f"the table answers {error}"
    table.close()


def prepare(parent):
    """The directory of a broker that was stopped and of one that was killed."""
    made = []
    with Broker(*SETTINGS) as broker:
        work = load.Load(broker)
        work.topic("orders", 2, {"idempotent": True}, {"acks": 1}, readers=0)
        wire = Wire(broker.port)
        wire.create_topic("table", 1, {"cleanup.policy": "compact", "segment.bytes": "1048576"})
        wire.close()
        for how in ("stop", "kill"):
            for between in ("stop", "kill"):  # Leader epochs, several segments, a cleaned table.
                fill(broker, work, 0.7)
                time.sleep(0.5)
                broker.restart(between)
            fill(broker, work, 0.7)
            getattr(broker, how)()
            one = Prepared(os.path.join(parent, how), how)
            os.mkdir(one.directory)
            subprocess.run(["cp", "-a", broker.data, one.directory], check=True)
            broker.overrides = list(QUIET)
            broker.start()
            one.note(broker)
            broker.stop()
            broker.overrides = list(SETTINGS)
            broker.start()
            made.append(one)
    return made


class Trial:
    """One start on a damaged copy: `outcome` is one word, `said` what went with it."""

    def __init__(self, prepared, name, bit, directory):
        self.prepared, self.name, self.bit = prepared, name, bit
        self.broker = Broker(*QUIET, directory=directory)
        self.outcome, self.said = "whole", []
        self.errors = collections.Counter()

    def flip(self):
        with open(os.path.join(self.broker.data, self.name), "r+b") as file:
            file.seek(self.bit // 8)
            byte = file.read(1)[0]
            file.seek(self.bit // 8)
            file.write(bytes([byte ^ 1 << self.bit % 8]))

    def bad(self, outcome, what):
        worst = ["whole", "error", "refused", "unnamed", "missing", "hang", "crash", "wrong"]
        self.said.append(what)
        if worst.index(outcome) > worst.index(self.outcome):
            self.outcome = outcome

    def named(self):
        """Its log says which file, or at least which partition."""
        said = "".join(self.broker.lines)
        parts = self.name.split("/")
        if len(parts) == 1:
            return parts[-1] in said
        return parts[0] in said and (parts[-1] in said or "/" + parts[0] in said)

    def run(self):
        self.prepared.copy(self.broker.directory)
        self.flip()
        ready, ended = self.broker.spawn()
        if not ready.wait(START_LIMIT_SECONDS):
            self.bad("hang", "it neither starts nor refuses to")
        elif ended.is_set():
            self.broker.reader.join()
            code = self.broker.process.wait()
            if code < 0 or code > 127:
                self.bad("crash", f"ended with {code}: {self.last_line()}")
            else:
                self.bad("refused", self.last_line())
                if not self.named():
                    self.bad("unnamed", "the refusal does not name the file")
        else:
            self.read_everything()
            self.stop()
        if self.broker.process is not None:
            self.broker.kill()
        if self.errors and not self.named():
            self.bad("unnamed", "no line of the log names the file")
        return self

    def __str__(self):
        where = f"bit {self.bit % 8} of byte {self.bit // 8} of {self.name} (after a {self.prepared.how})"
        return f"{self.outcome}: {where}: " + "; ".join(dict.fromkeys(self.said[:4]))

    def last_line(self):
        return self.broker.lines[-1].strip() if self.broker.lines else "(it said nothing)"

    def stop(self):
        if self.broker.process.poll() is not None:
            self.bad("crash", f"ended with {self.broker.process.returncode}: {self.last_line()}")
            return
        self.broker.process.terminate()
        try:
            code = self.broker.process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.bad("hang", "it does not stop")
            return
        if code != 0 and not self.errors:
            outcome = "crash" if code < 0 or code > 127 else "unnamed"
            self.bad(outcome, f"the stop ended with {code}: {self.last_line()}")

    def read_everything(self):
        try:
            wire = Wire(self.broker.port, 10)
            for where in self.prepared.contents:
                self.read_partition(wire, where)
            for where in self.prepared.last:
                self.send_again(wire, where)
            wire.close()
        except TimeoutError:
            self.bad("hang", "no answer")
        except (ConnectionError, OSError) as problem:
            self.bad("crash", f"{problem}: {self.last_line()}")

    def error(self, code, what):
        self.errors[code] += 1
        self.bad("error", f"{what} answers {code}")

    def read_partition(self, wire, where):
        """Every batch is asked for unless it came with the one before it."""
        expected, got, failed = self.prepared.contents[where], set(), 0
        error, end = wire.list_offset(*where, -1)
        if error:
            self.error(error, f"the end of {where}")
        elif end < (wanted := max(last for last, _ in expected.values()) + 1):
            self.bad("missing", f"{where} ends at {end} instead of {wanted}")
        for base in sorted(expected):
            if base in got or failed == MOST_FAILED_FETCHES:
                continue
            error, _, data = wire.fetch(*where, base)
            if error:
                self.error(error, f"a fetch of {where} at {base}")
                failed += 1
                continue
            for found, _, batch in load.split(data):
                got.add(found)
                if found not in expected:
                    self.bad("wrong", f"{where} has a batch at {found} where none was")
                elif expected[found][1] != batch:
                    self.bad("wrong", f"{where} has another batch at {found}")
        if not self.errors and (lost := sorted(set(expected) - got)):
            self.bad("missing", f"{len(lost)} batches of {where} are not read, the first at {lost[0]}")

    def send_again(self, wire, where):
        """What a producer wrote last is recognised, at its place."""
        for batch, base in self.prepared.last[where]:
            again = batch[:12] + b"\xff\xff\xff\xff" + batch[16:]
            again = b"\0" * 8 + again[8:]
            error, offset = wire.produce(where[0], again, partition=where[1])
            if error:
                self.error(error, f"a batch sent again to {where}")
            elif offset != base:
                self.bad("wrong", f"a batch of {where} at {base} was stored again at {offset}")


def trials(chance, prepared, kind, count, parent):
    """`count` flips, each in one of the files of a kind."""
    files = prepared.files(kind)
    for _ in range(count if files else 0):
        name = chance.choice(files)
        size = os.path.getsize(os.path.join(prepared.directory, "data", name))
        if kind == "journal":
            size = min(size, 3 << 20)  # What lies behind is mostly zeros.
        bit = chance.randrange(size * 8)
        with tempfile.TemporaryDirectory(prefix="flip-", dir=parent) as directory:
            yield Trial(prepared, name, bit, directory).run()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=10, help="flips for each kind of file and each directory")
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--all", action="store_true", help="also print the flips that were dealt with")
    options = parser.parse_args()
    chance = random.Random(load.SEED)
    table = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory(prefix="ottla-flips-") as parent:
        for prepared in prepare(parent):
            for kind in options.kind or KINDS:
                for trial in trials(chance, prepared, kind, options.each, parent):
                    table[kind, prepared.how][trial.outcome] += 1
                    if options.all or trial.outcome not in GOOD:
                        print(f"- {trial}", flush=True)
    print(f"\nOTTLA_SEED={load.SEED}\n\n| kind | after | outcomes |\n|---|---|---|")
    for (kind, how), counts in table.items():
        print(f"| {kind} | {how} | " + ", ".join(f"{count} {word}" for word, count in counts.most_common()) + " |")


if __name__ == "__main__":
    main()
