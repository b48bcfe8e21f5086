# SPDX-License-Identifier: Apache-2.0
"""Topics that come, go, come again under the same name and are compacted, while the broker is killed again and again:
what was answered holds, and an earlier topic of a name never shows through."""
import random
import threading
import time
import unittest

import load
from harness import Broker

ROUNDS = 10
LONGEST_SECONDS = 0.6
KEYS = 50
SETTINGS = ("ottla.shards=2", "log.cleaner.backoff.ms=50", "log.cleaner.min.cleanable.ratio=0.01")
UNKNOWN_TOPIC = 3


class Topics:
    """Creates, writes to and deletes topics of a few names; `doubtful` is the one whose last request had no answer."""

    def __init__(self, chance):
        self.chance = chance
        self.values = {}  # name -> values that were acknowledged, of topics that exist
        self.gone = set()
        self.doubtful = None
        self.number = 0

    def run(self, wire):
        while True:
            self.doubtful = name = f"name-{self.chance.randrange(6)}"
            if name not in self.values:
                wire.create_topic(name, 2)
                self.values[name] = []
                self.gone.discard(name)
            elif self.values[name] and self.chance.random() < 0.4:
                wire.delete_topic(name)
                del self.values[name]
                self.gone.add(name)
            else:
                for partition in (0, 1):
                    self.number += 1
                    value = b"%s %d" % (name.encode(), self.number)
                    records = load.seal(1, load.record(0, value), int(time.time() * 1000))
                    error, _ = wire.produce(name, records, partition=partition)
                    if error:
                        raise load.Problem(f"{name}-{partition} answers {error}")
                    self.values[name].append(value)

    def check(self, wire):
        """Then makes the doubtful one certain."""
        for name in sorted(self.gone - {self.doubtful}):
            if wire.list_offset(name, 0, -1)[0] != UNKNOWN_TOPIC:
                raise load.Problem(f"{name} was deleted and is there")
        for name, values in self.values.items():
            if name != self.doubtful:
                self.compare(name, values, self.stored(wire, name))
        if (name := self.doubtful) is None:
            return
        stored = self.stored(wire, name) if wire.list_offset(name, 0, -1)[0] == 0 else None
        known = self.values.pop(name, None)
        if stored is None:
            self.gone.add(name)
            return
        self.gone.discard(name)
        if known is None:  # A creation without an answer: nothing was written yet.
            self.compare(name, [], stored)
        else:  # A write without one is there or not.
            self.compare(name, known, stored[: len(known)])
            self.compare(name, [], stored[len(known) + 1 :])
        self.values[name] = stored

    @staticmethod
    def stored(wire, name):
        found = [value for partition in (0, 1) for _, _, batch in load.read(wire, name, partition)
                 for _, value in load.records(batch)]
        return sorted(found, key=lambda value: int(value.split()[1]))

    @staticmethod
    def compare(name, expected, found):
        if expected != found:
            raise load.Problem(f"{name} has {len(found)} records, not the {len(expected)} that were acknowledged: "
                               f"{set(expected) ^ set(found)}")


class Table:
    """Replaces the values of some keys in a compacted topic."""

    def __init__(self):
        self.acknowledged = {}  # key -> number
        self.number = 0

    def run(self, wire):
        while True:
            self.number += 1
            part = [(b"key-%d" % (key % KEYS), b"%d " % self.number + b"." * 2000)
                    for key in range(self.number, self.number + 20)]
            records = b"".join(load.record(delta, value, key) for delta, (key, value) in enumerate(part))
            error, _ = wire.produce("table", load.seal(len(part), records, int(time.time() * 1000)))
            if error:
                raise load.Problem(f"the table answers {error}")
            self.acknowledged |= {key: self.number for key, _ in part}

    def check(self, wire):
        found, count = {}, 0
        for _, _, batch in load.read(wire, "table", 0):
            for key, value in load.records(batch):
                count += 1
                number = int(value.split()[0])
                if number < found.get(key, 0):
                    raise load.Problem(f"{key} goes back from {found[key]} to {number}")
                found[key] = number
        for key, number in self.acknowledged.items():
            if not number <= found.get(key, 0) <= self.number:
                raise load.Problem(f"{key} is {found.get(key)}, {number} was acknowledged, {self.number} sent")
        return count


class Killed(unittest.TestCase):
    def act(self, broker, actors, seconds):
        problems = []
        def run(actor):
            wire = load.Wire(broker.port, load.SILENCE_SECONDS)
            try:
                actor.run(wire)
            except ConnectionError:
                pass
            except (OSError, AssertionError) as problem:
                problems.append(problem)
            finally:
                wire.close()
        threads = [threading.Thread(target=run, args=(actor,), daemon=True) for actor in actors]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        broker.kill()
        for thread in threads:
            thread.join(2 * load.SILENCE_SECONDS)
            self.assertFalse(thread.is_alive())
        if problems:
            raise problems[0]

    def test_what_was_answered_of_topics_and_keys_holds(self):
        chance = random.Random(load.SEED)
        topics, table = Topics(chance), Table()
        with Broker(*SETTINGS) as broker:
            wire = load.Wire(broker.port)
            wire.create_topic("table", 1, {"cleanup.policy": "compact", "segment.bytes": "1048576"})
            wire.close()
            for _ in range(ROUNDS):
                self.act(broker, (topics, table), 0.1 + chance.random() * LONGEST_SECONDS)
                for _ in range(chance.randrange(3)):
                    broker.spawn()
                    time.sleep(chance.random() * 0.08)
                    broker.kill()
                broker.start()
                wire = load.Wire(broker.port)
                topics.check(wire)
                left = table.check(wire)
                wire.close()
        print(f"{topics.number} records, {left} of {20 * table.number} in the table, seed {load.SEED}")
        self.assertLess(left, 20 * table.number, "nothing was compacted")


if __name__ == "__main__":
    unittest.main()
