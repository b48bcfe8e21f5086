# SPDX-License-Identifier: Apache-2.0
"""From the rounds to what is printed: per metric each contestant's best, median and worst, and the ratio to Kafka's.

Costs and rates are compared by best rounds (memory that the host took back makes single rounds up to 2.5 times
dearer for the same program), times by medians. The spread is that of the ratios within a round.
"""
import statistics

LOWER, HIGHER = min, max
BEST, MEDIAN = "best", "median"

# (measure, metric): (label, unit, which is better, what is compared)
METRICS = {
    ("bytes", "in_cpu"): ("broker CPU per GB in, 64 KB batches", "s/GB", LOWER, BEST),
    ("bytes", "in_mb_s"): ("produce, 64 KB batches", "MB/s", HIGHER, BEST),
    ("bytes", "in_p50_ms"): ("  acknowledged p50", "ms", LOWER, MEDIAN),
    ("bytes", "in_p99_ms"): ("  acknowledged p99", "ms", LOWER, MEDIAN),
    ("bytes", "out_cpu"): ("broker CPU per GB out", "s/GB", LOWER, BEST),
    ("bytes", "out_mb_s"): ("fetch", "MB/s", HIGHER, BEST),
    ("durable", "records_s"): ("4 KB batches, 100 partitions", "records/s", HIGHER, BEST),
    ("durable", "cpu_us"): ("  broker CPU", "us/record", LOWER, BEST),
    ("durable", "p50_ms"): ("  acknowledged p50", "ms", LOWER, MEDIAN),
    ("durable", "p99_ms"): ("  acknowledged p99", "ms", LOWER, MEDIAN),
    ("small", "records_s"): ("100-byte records, 500 partitions", "records/s", HIGHER, BEST),
    ("small", "cpu_us"): ("  broker CPU", "us/record", LOWER, BEST),
    ("small", "p50_ms"): ("  acknowledged p50", "ms", LOWER, MEDIAN),
    ("small", "p99_ms"): ("  acknowledged p99", "ms", LOWER, MEDIAN),
    ("latency", "p50_ms"): ("end to end at 5,000/s p50", "ms", LOWER, MEDIAN),
    ("latency", "p99_ms"): ("  p99", "ms", LOWER, MEDIAN),
    ("latency", "p999_ms"): ("  p99.9", "ms", LOWER, MEDIAN),
    ("latency", "cpu_us"): ("  broker CPU", "us/record", LOWER, BEST),
    ("start", "answered_ms"): ("exec to first answer", "ms", LOWER, MEDIAN),
    ("start", "written_ms"): ("exec to first record durable", "ms", LOWER, MEDIAN),
    ("start", "rss_mib"): ("idle memory, RSS", "MiB", LOWER, MEDIAN),
    ("start", "pss_mib"): ("idle memory, PSS", "MiB", LOWER, MEDIAN),
    ("start", "idle_cpu_percent"): ("idle CPU", "% core", LOWER, MEDIAN),
    ("kill", "read_ms"): ("kill -9, exec to old record read", "ms", LOWER, MEDIAN),
    ("kill", "written_ms"): ("kill -9, exec to new record taken", "ms", LOWER, MEDIAN),
}


def headline(values, better, compared):
    return statistics.median(values) if compared == MEDIAN else better(values)


def ratio(ours, theirs):
    return ours / theirs if theirs else None


def summarize(rounds, measures):
    """One row per metric and contestant; `rounds` is a list of {measure: {contestant: {metric: value}}}."""
    rows = []
    for (measure, metric), (label, unit, better, compared) in METRICS.items():
        contestants = measures.get(measure, [])
        series = {name: [one[measure][name][metric] for one in rounds if metric in one.get(measure, {}).get(name, {})]
                  for name in contestants}
        for name in contestants:
            if not series[name]:
                continue
            values = series[name]
            row = {"measure": measure, "metric": metric, "label": label.strip(), "unit": unit, "contestant": name,
                   "rounds": len(values), "best": better(values), "median": statistics.median(values),
                   "worst": min(values) if better is HIGHER else max(values), "compared": compared}
            base = contestants[0]
            if name != base and series[base]:
                within = [ratio(one[measure][name][metric], one[measure][base][metric]) for one in rounds
                          if metric in one.get(measure, {}).get(name, {}) and metric in one[measure].get(base, {})]
                within = [value for value in within if value is not None]
                row["ratio"] = ratio(headline(values, better, compared), headline(series[base], better, compared))
                row["ratio_spread"] = [min(within), max(within)] if within else None
            rows.append(row)
    return rows


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(rows):
    """For a person: the ratio is the contestant over Kafka, by best or median; in brackets its spread over rounds."""
    lines = [("", "", "BEST", "MEDIAN", "WORST", "UNIT", "RATIO", "SPREAD OVER ROUNDS")]
    shown = None
    for row in rows:
        key = (row["measure"], row["metric"])
        spread = row.get("ratio_spread")
        lines.append((METRICS[key][0] if key != shown else "", row["contestant"], number(row["best"]),
                      number(row["median"]), number(row["worst"]), row["unit"],
                      f"{number(row['ratio'])} ({row['compared']})" if row.get("ratio") is not None else "",
                      f"{number(spread[0])} .. {number(spread[1])}" if spread else ""))
        shown = key
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    left = (0, 1, 5, 6, 7)
    return "\n".join("  ".join(cell.ljust(width) if i in left else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)
