# SPDX-License-Identifier: Apache-2.0
"""The two brokers as processes: a directory and a port each, started and killed by us, one node with both roles."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KAFKA = str(ROOT / "tests/kafka/kafka.sh")
STOP_LIMIT_SECONDS = 60
# As Apache Kafka's own start script runs a broker.
KAFKA_JAVA = ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
              "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]


def two_free_ports():
    """A port with the one behind it: Kafka's controller takes the second."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


class Broker:
    """One process; `prepare` makes its empty directory, `start` returns when it was executed (monotonic ns)."""

    def __init__(self, parent):
        self.directory = tempfile.mkdtemp(prefix=f"{self.name}-", dir=parent)
        self.port = two_free_ports()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        with open(os.path.join(self.directory, "broker.log"), "ab") as log:
            began = time.monotonic_ns()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.directory)
        return began

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        self.end(signal.SIGKILL)

    def stop(self):
        self.end(signal.SIGTERM)

    def end(self, how):
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def remove(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Ottla(Broker):
    name = "ottla"

    def __init__(self, parent, programs, overrides=()):
        super().__init__(parent)
        self.programs = programs
        self.overrides = overrides

    def prepare(self):
        """Nothing: an empty directory formats itself, and that is part of what `start` costs."""

    def command(self):
        words = [self.programs["ottla"], "start"]
        for pair in (f"listeners=PLAINTEXT://{self.address}", f"log.dirs={self.directory}/data", *self.overrides):
            words += ["--override", pair]
        return words


class Kafka(Broker):
    name = "kafka"

    def __init__(self, parent, programs):
        super().__init__(parent)
        self.jars = programs["jars"]

    def prepare(self):
        """Formatting is a step of its own, before the clock runs."""
        subprocess.run([KAFKA, "format", self.directory, str(self.port)], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def command(self):
        logging = [f"-Dlog4j2.configurationFile={ROOT}/tests/kafka/log4j2.properties", "-Dlog4j2.disable.jmx=true"]
        return ["java", *KAFKA_JAVA, *logging, "-cp", f"{self.jars}/*", "kafka.Kafka",
                f"{self.directory}/kafka.properties"]


def make(system, parent, programs):
    broker = {"ottla": Ottla, "kafka": Kafka}[system](parent, programs)
    broker.prepare()
    return broker
