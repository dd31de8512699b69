#!/usr/bin/env python3
"""Kills a running job with SIGKILL at random moments and resumes it, until it ends; then compares what it has
committed with an undisturbed run.

    scripts/kill-test.py --thalweg .build/release/thalweg --kills 200 --query q5,q8 --parallelism 1,3,2
    scripts/kill-test.py --stop --kills 100 --query q5
    scripts/kill-test.py --stop-then-kill --kills 40 --query q5 --parallelism 1,3,2
    scripts/kill-test.py --options '--state-memory 512KiB' --query q9 --parallelism 1,3,2
    scripts/kill-test.py --command 'my-job --output {out}/main/ --rejected {out}/side/' --kills 20 --records 20000

Every run starts from the newest checkpoint, at the next of the given parallelisms. With --stop each run is told to stop
by SIGTERM instead: it has to end with exit code 0 and say the kind and the path of its snapshot, which has to be the
newest of the directory. With --stop-then-kill SIGKILL follows 0 to 60 ms after SIGTERM, in the middle of the stop.
--options go to every run but the undisturbed one: what they change may not change the output.
A --command is any job whose outputs are directories below {out}; each is compared. Exit code 1 at the first difference.
"""
import argparse
import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# The columns that are the key of a result table: each line takes the place of the one before it with the same key.
KEYS = {"q4": [0], "q9": [0], "q15": [0], "q16": [0, 1], "q17": [0, 1], "q18": [0, 1], "q19": [0, 7]}


def fields(line):
    """The fields of a CSV line, as written (quotes kept)."""
    found, start, quoted = [], 0, False
    for index, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            found.append(line[start:index])
            start = index + 1
    return found + [line[start:]]


def lines_of(directory, header=False):
    """The committed lines in the order of the files' names; with a header, without the first of each file."""
    lines = []
    names = [n for n in os.listdir(directory) if n[0] not in "._"] if os.path.isdir(directory) else []
    for name in sorted(names):
        with open(os.path.join(directory, name), encoding="utf-8", newline="\n") as file:
            found = file.readlines()
        for line in found[1:] if header else found:
            assert line.endswith("\n"), f"{name} ends in the middle of a line"
            lines.append(line[:-1])
    return lines


def committed(directory, query):
    """The rows that the committed files make up, sorted as in a golden file."""
    rows, table = [], {}
    for line in lines_of(directory):
        if query in KEYS:
            row = fields(line)
            table[tuple(row[k] for k in KEYS[query])] = line
        else:
            rows.append(line)
    rows += table.values()
    return sorted((row.encode() for row in rows))


def newest(directory):
    """The path of the newest complete checkpoint of a directory; None when there is none."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    numbers = [int(n[4:]) for n in names if n.startswith("chk-") and n[4:].isdigit()
               and os.path.exists(os.path.join(directory, n, "_metadata"))]
    return os.path.join(directory, f"chk-{max(numbers)}") if numbers else None


def digest(rows):
    sha = hashlib.sha256()
    for row in rows:
        sha.update(row + b"\n")
    return sha.hexdigest()


def deal(path, count):
    """Deals the lines of a file into a directory of files in turn, so that each is a split of the source."""
    folder = path + ".splits"
    os.mkdir(folder)
    with open(path, "rb") as file:
        lines = file.readlines()
    for index in range(count):
        with open(os.path.join(folder, f"{index:05}.jsonl"), "wb") as file:
            file.writelines(lines[index::count])
    return folder


class Query:
    """A Nexmark query: its rows are those of a golden file."""

    def __init__(self, options, name):
        self.options, self.name = options, name
        self.base = [options.thalweg, "nexmark", "run", "--query", name, "--input", options.input]

    def command(self, out):
        return self.base + ["--sink", out]

    def undisturbed(self):
        golden = f"{self.options.folder}/{self.name}.golden"
        subprocess.run(self.base + ["--golden", golden], check=True)
        with open(golden, "rb") as file:
            return file.read().splitlines()

    def rows(self, out):
        return committed(out, self.name)


class Job:
    """Any job with directories of outputs: each row is marked with the output it is in."""

    def __init__(self, options):
        self.options, self.name = options, options.name

    def command(self, out):
        return [part.replace("{out}", out) for part in shlex.split(self.options.command)]

    def undisturbed(self):
        out = f"{self.options.folder}/undisturbed"
        subprocess.run(self.command(f"{out}/out") + [
            "--checkpoint-dir", f"{out}/checkpoints", "--parallelism", str(self.options.parallelism[0]), "--quiet"],
            check=True)
        return self.rows(f"{out}/out")

    def rows(self, out):
        rows = []
        for output in sorted(os.listdir(out)):
            lines = lines_of(f"{out}/{output}", self.options.header)
            if self.options.in_order and output == self.options.in_order[0]:
                self.check_order(lines, *(int(column) for column in self.options.in_order[1:]))
            rows += [f"{output}: {line}".encode() for line in lines]
        if self.options.records and len(rows) != self.options.records:
            sys.exit(f"{self.name}: {len(rows)} records in all outputs instead of {self.options.records}, see {out}")
        return sorted(rows)

    def check_order(self, lines, key, number):
        """The lines of one key come with growing numbers."""
        last = {}
        for line in lines:
            row = fields(line)
            if last.get(row[key], -1) >= int(row[number]):
                sys.exit(f"{self.name}: {line} comes after number {last[row[key]]} of its key")
            last[row[key]] = int(row[number])


class Trial:
    def __init__(self, options, job, generator):
        self.options, self.job, self.random = options, job, generator
        self.folder = tempfile.mkdtemp(prefix=f"kill-{job.name}-", dir=options.folder)
        self.starts, self.stops, self.early = 0, 0, 0

    def command(self):
        widths = self.options.parallelism
        width = widths[self.starts % len(widths)]
        command = self.job.command(f"{self.folder}/out") + [
            "--checkpoint-dir", f"{self.folder}/checkpoints", "--checkpoint-interval",
            self.options.interval, "--parallelism", str(width), "--json"]
        if self.options.alignment_timeout:
            command += ["--alignment-timeout", self.options.alignment_timeout]
        command += self.options.options
        # The first start has nothing to go on from; a later one may have been killed before its first checkpoint.
        return command + ["--from", "latest"]

    def run(self, kills, seconds):
        """Starts, kills, starts again...; the last start may end by itself. Returns the number of kills."""
        done = 0
        while True:
            process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.starts += 1
            is_hit = False
            if done < kills:
                try:
                    process.wait(timeout=self.random.uniform(0.005, seconds))
                except subprocess.TimeoutExpired:
                    is_hit = True
                    self.hit(process)
            out, err = process.communicate(timeout=120)
            code = process.returncode
            if code == 0:
                if not self.is_stopped(out, err, is_hit):
                    return done
                done += 1
            elif code == -signal.SIGKILL and is_hit and not self.options.stop:
                done += 1
            elif code == -signal.SIGTERM and is_hit:
                # Before the process had begun to listen: as good as a kill, but no stop.
                self.early += 1
            else:
                self.fail(f"exit code {code}", err)

    def hit(self, process):
        if not self.options.stop and not self.options.stop_then_kill:
            return process.send_signal(signal.SIGKILL)
        process.send_signal(signal.SIGTERM)
        if self.options.stop_then_kill:
            try:
                process.wait(timeout=self.random.uniform(0, 0.06))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)

    def is_stopped(self, out, err, is_hit):
        """Whether the run says that it was stopped; then its snapshot has to be there and the newest."""
        said = json.loads(out.splitlines()[-1]).get("stoppedWith")
        if said is None:
            if is_hit and b"the job goes on" in err and b"every task has finished" not in err:
                self.fail("a stop was refused", err)
            return False
        if said["kind"] != "suspend" or said["path"] != newest(f"{self.folder}/checkpoints"):
            self.fail(f"stopped with {said}, the newest is {newest(self.folder + '/checkpoints')}", err)
        self.stops += 1
        return True

    def fail(self, text, err):
        sys.exit(f"{self.job.name}: {text} at start {self.starts} in {self.folder}\n" + err.decode())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thalweg", default=".build/release/thalweg")
    parser.add_argument("--query", default="q4,q5,q7,q8,q9,q11,q18", type=lambda text: text.split(","))
    parser.add_argument("--parallelism", default="1", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--kills", default=30, type=int, help="for each query")
    parser.add_argument("--per-run", default=6, type=int, help="kills before a run may come to its end")
    parser.add_argument("--within", default=1.2, type=float,
                        help="a run is hit in this part of the time that an undisturbed one takes")
    parser.add_argument("--interval", default="100ms")
    parser.add_argument("--alignment-timeout", default="")
    parser.add_argument("--options", default=[], type=shlex.split, metavar="TEXT",
                        help="further options of every run that may be hit, such as '--state-memory 512KiB'")
    parser.add_argument("--events", default=100_000, type=int)
    parser.add_argument("--input", default="", help="JSON lines; by default they are generated")
    parser.add_argument("--splits", default=1, type=int, help="deal the generated lines into that many files")
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--folder", default=None)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--stop", action="store_true", help="SIGTERM instead of SIGKILL")
    how.add_argument("--stop-then-kill", action="store_true", help="SIGTERM, then SIGKILL 0 to 60 ms later")
    other = parser.add_argument_group("any job instead of queries")
    other.add_argument("--command", help="its command line, with outputs in directories below {out}")
    other.add_argument("--header", action="store_true", help="the first line of each file is no record")
    other.add_argument("--records", default=0, type=int, help="how many records all outputs have together")
    other.add_argument("--in-order", type=lambda text: text.split(":"), metavar="OUTPUT:KEY:NUMBER",
                       help="columns from 0: the lines of one key have to come with growing numbers")
    return parser.parse_args()


def generate(options):
    options.input = f"{options.folder}/events.jsonl"
    subprocess.run([options.thalweg, "nexmark", "generate", "--events", str(options.events), "--seed", "42", "-o",
                    options.input], check=True)
    if options.splits > 1:
        options.input = deal(options.input, options.splits)


def main():
    options = arguments()
    options.folder = tempfile.mkdtemp(prefix="thalweg-kills-", dir=options.folder)
    if options.command:
        options.name = os.path.basename(shlex.split(options.command)[0])
        jobs = [Job(options)]
    else:
        if not options.input:
            generate(options)
        jobs = [Query(options, name) for name in options.query]
    generator = random.Random(options.seed)
    total = 0
    for job in jobs:
        start = time.monotonic()
        expected = job.undisturbed()
        seconds = max(0.03, time.monotonic() - start)
        done, runs, stops, early = 0, 0, 0, 0
        while done < options.kills:
            trial = Trial(options, job, generator)
            done += trial.run(min(options.per_run, options.kills - done), seconds * options.within)
            runs, stops, early = runs + 1, stops + trial.stops, early + trial.early
            rows = job.rows(f"{trial.folder}/out")
            if digest(rows) != digest(expected):
                missing, extra = set(expected) - set(rows), set(rows) - set(expected)
                sys.exit(f"{job.name}: {len(rows)} rows instead of {len(expected)}, {len(missing)} missing, "
                         f"{len(extra)} too many, seed {options.seed}, see {trial.folder}\n"
                         f"missing {sorted(missing)[:3]}\nextra {sorted(extra)[:3]}")
            shutil.rmtree(trial.folder)
            if runs > options.kills * 20:
                sys.exit(f"{job.name}: runs end before they can be killed: give more --events")
        total += done
        found = {"query": job.name, "kills": done - stops, "runs": runs, "rows": len(expected),
                 "parallelism": options.parallelism, "equal": True}
        if options.options:
            found["options"] = shlex.join(options.options)
        if options.stop or options.stop_then_kill:
            found.update({"stops": stops, "before the start": early})
        print(json.dumps(found), flush=True)
    shutil.rmtree(options.folder)
    what = "stops" if options.stop else "stops and kills" if options.stop_then_kill else "kills"
    print(f"{total} {what}, every committed output equal to the undisturbed run's")


main()
