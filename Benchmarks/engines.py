# SPDX-License-Identifier: Apache-2.0
"""The two sides: a Flink cluster that is handed one plan line at a time, and Thalweg as one process per run."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from measures import Measure

HERE = Path(__file__).resolve().parent


class Failure(Exception):
    """A run that did not give a figure."""


@dataclass
class Run:
    """One run: events, CPU seconds (user + system, all threads), wall seconds, peak resident MB."""

    events: int
    cpu: float
    wall: float
    rss_mb: float

    @property
    def rate(self) -> float:
        """Million events per CPU-second."""
        return self.events / max(self.cpu, 0.001) / 1e6

    def as_json(self) -> dict:
        return {**asdict(self), "m_events_per_cpu_s": round(self.rate, 4)}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Client:
    """A harness client (`Bench` or `Micro`) that reads plan lines and answers with tab-separated lines."""

    def __init__(self, environment: dict, log: Path, *arguments: str):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(
            [str(HERE / "flink/client.sh"), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, env=environment, text=True, bufsize=1)
        self.lines: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def ask(self, plan: str, timeout: float) -> list[str]:
        """Sends one plan line; returns the fields of the answer."""
        job = plan.split()[0]
        try:
            self.process.stdin.write(plan + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure("the Flink client has ended") from None
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self.lines.get(timeout=max(0.1, deadline - time.monotonic()))
            except queue.Empty:
                raise Failure(f"no answer in {timeout:.0f} s") from None
            if line is None:
                raise Failure("the Flink client has ended")
            fields = line.split("\t")
            if fields[0] == job and len(fields) > 1:
                if "FAIL" in line:
                    raise Failure(line[line.index("FAIL") :])
                return fields

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Flink:
    """One tuned session cluster for all measures: 4 GiB TaskManager, heap state, object reuse, parallelism 1.

    CPU is the TaskManager's alone, as the harness reads it from /proc/PID/stat; JobManager and client are not charged.
    """

    def __init__(self, work: Path, timeout: float):
        self.work = work
        self.timeout = timeout
        self.clients: dict[str, Client] = {}
        self.running = False

    def start(self) -> None:
        environment = {**os.environ, "WORK": str(self.work)}
        subprocess.run([str(HERE / "flink/setup.sh")], env=environment, check=True, stdout=2)
        self.environment = {
            **environment, "FLINK_HOME": str(self.work / "flink/pyflink"), "RUN": str(self.work / "run"),
            "REST": str(free_port()), "RPC": str(free_port()),
        }
        self.running = True
        subprocess.run(
            [str(HERE / "flink/cluster.sh"), "start", "1"], env=self.environment, check=True,
            stdout=subprocess.DEVNULL)
        self.task_manager = (self.work / "run/tm0.pid").read_text().strip()
        for _ in range(2):  # loads the planner and the common operators
            self._client("Bench").ask("q0 gen 500000 1 blackhole 1", self.timeout)

    def stop(self) -> None:
        for client in self.clients.values():
            client.close()
        self.clients = {}
        if self.running:
            subprocess.run([str(HERE / "flink/cluster.sh"), "stop"], env=self.environment, stdout=subprocess.DEVNULL)
        self.running = False

    def _client(self, name: str) -> Client:
        if name not in self.clients:
            for other in list(self.clients):  # one client at a time: each is a JVM
                self.clients.pop(other).close()
            arguments = [name, self.environment["REST"], self.task_manager]
            arguments += [str(HERE / "nexmark-sql"), "-", "-"] if name == "Bench" else ["-", "-"]
            self.clients[name] = Client(self.environment, self.work / "client.log", *arguments)
        return self.clients[name]

    def run(self, measure: Measure, seed: int, json_folder: Path) -> Run:
        if measure.group == "micro":
            plan = f"{measure.flink_job} {measure.flink_events} 1 {measure.keys} 1"
            fields = self._client("Micro").ask(plan, self.timeout)
            # name events par keys options repetition client-wall job-seconds CPU M/s RSS checkpoints
            return Run(measure.flink_events, float(fields[8]), float(fields[7]), float(fields[10]))
        source = "gen" if measure.group == "nexmark" else f"json:{json_folder}"
        plan = f"{measure.job} {source} {measure.flink_events} 1 blackhole 1 seed={seed}"
        fields = self._client("Bench").ask(plan, self.timeout)
        # query source events par sink options repetition client-wall job-seconds CPU M/s RSS rows
        return Run(measure.flink_events, float(fields[9]), float(fields[8]), float(fields[11]))


class Thalweg:
    """One process per run; CPU, wall and peak memory include its start and its end."""

    def __init__(self, binary: str, bench: str, timeout: float):
        self.binary = binary
        self.bench = bench
        self.timeout = timeout

    def command(self, measure: Measure, seed: int, json_file: Path) -> list[str]:
        events = str(measure.thalweg_events)
        if measure.group == "micro":
            return [self.bench, "micro", measure.job, "--events", events, "--keys", str(measure.keys)]
        command = [self.binary, "nexmark", "run", "--query", measure.job]
        if measure.group == "json":
            command += ["--input", str(json_file)]
        else:
            command += ["--events", events, "--seed", str(seed)]
        return command + ["--parallelism", "1", "--json"]

    def run(self, measure: Measure, seed: int, json_file: Path) -> Run:
        command = self.command(measure, seed, json_file)
        if shutil.which(command[0]) is None:
            raise Failure(f"no program {command[0]}")
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            start = time.monotonic()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
            alarm = threading.Timer(self.timeout, lambda: os.kill(process.pid, signal.SIGKILL))
            alarm.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            finally:
                alarm.cancel()
            wall = time.monotonic() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                errors.seek(0)
                text = errors.read().decode(errors="replace").strip().splitlines()
                raise Failure(f"exit {process.returncode}: {text[-1] if text else 'no message'}")
            output.seek(0)
            self._check(output.read().decode(errors="replace"), measure)
        # The kernel's peak of a child starts at what its parent held when it was forked: nothing below this program's
        # own 20 MB can be seen.
        return Run(measure.thalweg_events, usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)

    @staticmethod
    def _check(output: str, measure: Measure) -> None:
        """When the report names the events it took in, they must be those that were asked for."""
        lines = [line for line in output.splitlines() if line.startswith("{")]
        try:
            report = json.loads(lines[-1]) if lines else {}
        except ValueError:
            return
        events = report.get("events")
        if isinstance(events, int) and events != measure.thalweg_events:
            raise Failure(f"took in {events} events instead of {measure.thalweg_events}")
