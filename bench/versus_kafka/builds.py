# SPDX-License-Identifier: Apache-2.0
"""Builds (or settings) of Ottla in turn under the same client, to tell what a change costs or saves:

    python3 bench/versus_kafka/builds.py before=/tmp/before/ottla after=build/bench/ottla --rounds 5
    python3 bench/versus_kafka/builds.py small=build/bench/ottla,ottla.memory.bytes=64000000 usual=build/bench/ottla

Each round starts every build afresh, in changing order. `machine CPU` is everything but the client: what the
kernel writes back in its own threads is in it, which the broker's own figure leaves out.
"""
import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import threading
import time

import brokers
import machine
import measures

SEPARATOR = ","


def machine_busy():
    """Seconds of all cores since boot that were not idle."""
    with open("/proc/stat", encoding="ascii") as stat:
        words = [int(word) for word in stat.readline().split()[1:]]
    return (sum(words[:3]) + words[5] + words[6]) / os.sysconf("SC_CLK_TCK")


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(bench, broker, mode, topic, *options):
    """The load's figures and what the machine did beside the client, per GB moved."""
    busy, own = machine_busy(), children_cpu()
    found = bench.load(broker, mode, topic, *options)
    found["machine_cpu_s"] = machine_busy() - busy - (children_cpu() - own)
    return found


def produce(bench, broker, options):
    bench.load(broker, "topic", "in", *options)
    bench.load(broker, "produce", "in", "--seconds", 3, *options)
    bench.settle()
    found = timed(bench, broker, "produce", "in", "--warmup", 1, "--seconds", bench.seconds, *options)
    # The machine's figure covers the second of warm-up too.
    whole = found["bytes"] / 1e9 * (bench.seconds + 1) / bench.seconds
    return {"MB/s": found["mb_per_s"], "CPU s/GB": found["cpu_s_per_gb"], "machine CPU s/GB": found["machine_cpu_s"] / whole,
            "us/record": found["cpu_us_per_record"], "p50 ms": found["p50_us"] / 1000, "p99 ms": found["p99_us"] / 1000}


def large(bench, broker):
    """64 KB batches to 8 partitions; then all of it read from the start."""
    found = produce(bench, broker, ())
    bench.settle()
    read = bench.load(broker, "fetch", "in", "--warmup", 1, "--seconds", bench.seconds)
    return found | {"out MB/s": read["mb_per_s"], "out CPU s/GB": read["cpu_s_per_gb"]}


def middle(bench, broker):
    """4 KB batches to 100 partitions."""
    return produce(bench, broker, ("--partitions", 100, "--batch-bytes", 4096, "--connections", 8, "--in-flight", 8))


def small(bench, broker):
    """Requests of 20 partitions with one record of 100 bytes each, 500 partitions."""
    return produce(bench, broker, ("--partitions", 500, "--request-partitions", 20, "--batch-bytes", 100,
                                   "--record-bytes", 100, "--connections", 8, "--in-flight", 4))


def single(bench, broker):
    """One record at a time on one connection."""
    return produce(bench, broker, ("--partitions", 1, "--batch-bytes", 100, "--record-bytes", 100, "--connections", 1,
                                   "--in-flight", 1))


def latency(bench, broker, rate=5000):
    bench.load(broker, "latency", "paced", "--rate", rate, "--record-bytes", 100, "--seconds", 3)
    bench.settle()
    found = bench.load(broker, "latency", "paced", "--rate", rate, "--record-bytes", 100, "--warmup", 1,
                       "--seconds", bench.seconds)
    return {"p50 ms": found["p50_us"] / 1000, "p99 ms": found["p99_us"] / 1000, "p99.9 ms": found["p999_us"] / 1000,
            "us/record": found["cpu_us_per_record"]}


def beside(bench, broker, mode, *options):
    """Paced single records while another client works at full speed."""
    other = threading.Thread(target=lambda: bench.load(broker, mode, "other", "--seconds", bench.seconds + 6, *options))
    other.start()
    time.sleep(1)
    try:
        found = bench.load(broker, "latency", "paced", "--rate", 1000, "--record-bytes", 100, "--warmup", 1,
                           "--seconds", bench.seconds)
    finally:
        other.join()
    return {"p50 ms": found["p50_us"] / 1000, "p99 ms": found["p99_us"] / 1000, "p99.9 ms": found["p999_us"] / 1000}


def beside_produce(bench, broker):
    """Paced single records while one connection writes 64 KB batches, 4 in flight."""
    bench.load(broker, "topic", "other")
    return beside(bench, broker, "produce", "--connections", 1, "--in-flight", 4)


MEASURES = {one.__name__: one for one in (large, middle, small, single, latency, beside_produce)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs="+", metavar="NAME=PROGRAM[,KEY=VALUE...]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", action="append", choices=list(MEASURES))
    parser.add_argument("--touch-gib", type=float, default=3)
    parser.add_argument("--load", default=str(machine.ROOT / "build/bench/ottla_load"))
    parser.add_argument("--directory", default=str(machine.ROOT / "build"))
    return parser.parse_args()


def one(options, parent, build, measure):
    name, _, rest = build.partition("=")
    program, *settings = rest.split(SEPARATOR)
    programs = {"ottla": os.path.abspath(program), "load": options.load, "jars": ""}
    bench = measures.Bench(programs, parent, False, options.touch_gib)
    bench.seconds = options.seconds
    broker = brokers.Ottla(parent, programs, settings)
    try:
        broker.start()
        bench.load(broker, "first", "first", "--partitions", 1)
        return name, MEASURES[measure](bench, broker)
    finally:
        broker.remove()
        bench.close()


def report(measure, found):
    keys = list(next(iter(found.values()))[0])
    print(f"\n{measure}: {' '.join(MEASURES[measure].__doc__.split()) if MEASURES[measure].__doc__ else ''}")
    for key in keys:
        for name, rounds in found.items():
            values = sorted(entry[key] for entry in rounds)
            print(f"  {key:18} {name:12} least {values[0]:9.3f}  median {statistics.median(values):9.3f}  "
                  f"most {values[-1]:9.3f}")


def main():
    options = arguments()
    parent = tempfile.mkdtemp(prefix="builds-", dir=options.directory)
    print(f"load before {os.getloadavg()[0]:.1f}, {time.strftime('%H:%M:%S', time.gmtime())} UTC")
    try:
        for measure in options.only or MEASURES:
            found = {}
            for number in range(options.rounds):
                for build in options.builds if number % 2 == 0 else reversed(options.builds):
                    try:
                        name, values = one(options, parent, build, measure)
                    except measures.Failed as problem:
                        print(f"{measure} {build}: {problem}", file=sys.stderr)
                        continue
                    found.setdefault(name, []).append(values)
                    print(f"{number + 1} {measure} {name} " + " ".join(f"{k}={v:.3f}" for k, v in values.items()),
                          file=sys.stderr, flush=True)
            if found:
                report(measure, found)
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    print(f"load after {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
