#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants bugs in the engine itself, one at a time, and sees to it that the simulator finds each.

The committed tree is copied to out/mutants; there each bug is put in, built, run under seeds until one fails, and taken
out again. A bug that no seed finds, or whose text is in the source no more, fails the run. The tests plant bugs in
sinks, sources, disks and operators, which need no other engine (Tests/SimulationTests).
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "out" / "mutants"

# Name, file, what stands there, the bug, and the scenario that has to find it.
MUTANTS = [
    ("an alignment does not wait for other inputs", "Sources/Runtime/Checkpoint/BarrierAligner.swift",
     "guard let barrier, waiting == 0 else { return [] }",
     "guard let barrier, waiting == 0 || !isOvertaken else { return [] }", "windowed"),
    ("an input whose barrier has come is not held up", "Sources/Runtime/Checkpoint/BarrierAligner.swift",
     "barrier != nil && !isOvertaken && hasArrived[input]", "false && hasArrived[input]", "windowed"),
    ("what is in flight is not stored", "Sources/Runtime/Task/ExecutionTask+Checkpoint.swift",
     "upload.parts += recorder.parts(of: members.first?.name ?? name)", "_ = recorder", "windowed"),
    ("what comes before an overtaken barrier is not recorded", "Sources/Runtime/Task/ExecutionTask+Checkpoint.swift",
     "try recorder?.record(batch, of: state, codec)", "_ = (batch, state, codec)", "windowed"),
    ("a checkpoint is complete without its last task", "Sources/Control/Checkpoint/CheckpointCoordinator+Progress.swift",
     "pending[index].stage == .collecting, pending[index].missing.isEmpty",
     "pending[index].stage == .collecting, pending[index].missing.count < 2", "windowed"),
    ("what a later checkpoint has prepared is committed with an earlier one",
     "Sources/Runtime/Master/JobMaster+Checkpoints.swift",
     "for entry in uncommitted where entry.checkpoint <= checkpoint || ended.contains(entry.task) {",
     "for entry in uncommitted {", "windowed"),
    ("a layer that could not be written is not made up for", "Sources/State/Rows/RowLayers.swift",
     "        changed.formUnion(rows)\n        chain.removeAll", "        chain.removeAll", "windowed"),
    ("the layers below a new one are forgotten", "Sources/State/Rows/RowLayers.swift",
     "chain = isWhole ? added : chain + added", "chain = added", "windowed"),
    ("nobody is told that a row has gone", "Sources/State/Rows/KeyedStore+Rows.swift",
     "        _ = gone.findOrInsert(table.key(at: slot), hash: table.hash(at: slot))\n    }\n\n    // MARK",
     "    }\n\n    // MARK", "windowed"),
    ("a row that comes back stays gone", "Sources/State/Rows/KeyedStore+Rows.swift",
     "                table.remove(slot: place)\n", "", "spilling"),
    ("rows leave memory before they are written", "Sources/State/Rows/KeyedStore+Tier.swift",
     "if unsavedCount > 0 {", "if unsavedCount < 0 {", "spilling"),
    ("rows are not loaded when their timers are due", "Sources/State/Rows/KeyedStore+Tier.swift",
     "guard let tier, let layers else { return (limit, false) }",
     "guard let tier, let layers, tier.rowsMax < 0 else { return (limit, false) }", "spilling"),
    ("what a failed checkpoint had to write from a store is forgotten", "Sources/State/Shelf/ShelfNotes.swift",
     "mutating func fail(_ epochs: Range<UInt64>) { next = min(next, epochs.lowerBound) }",
     "mutating func fail(_ epochs: Range<UInt64>) {}", "shelving"),
    ("timers are in no snapshot", "Sources/State/Timers/TimerQueue+Snapshot.swift",
     "for time in times { try entries.add", "for time in times.dropLast() { try entries.add", "windowed"),
    ("a reader that starts again lacks a split", "Sources/Control/Source/SplitLedger.swift",
     "return lost.sorted { $0.value.order < $1.value.order }.compactMap",
     "return lost.sorted { $0.value.order < $1.value.order }.dropLast().compactMap", "windowed"),
]


def build():
    start = time.monotonic()
    done = subprocess.run(
        ["swift", "build", "--product", "thalweg"], cwd=COPY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout[-3000:], file=sys.stderr)
    return done.returncode == 0, time.monotonic() - start


def find(scenario, seeds, step):
    """The number of seeds it took until one failed; None when none did."""
    for first in range(1, seeds + 1, step):
        command = [".build/debug/thalweg", "simulate", "--scenario", scenario, "--no-shrink"]
        command += ["--seed", str(first), "--count", str(min(step, seeds + 1 - first))]
        try:
            done = subprocess.run(command, cwd=COPY, capture_output=True, text=True, timeout=600)
        except subprocess.TimeoutExpired:
            return first, "hangs"
        if done.returncode:
            seed = re.search(r"seed (\d+)", done.stdout)
            return int(seed.group(1)) if seed else first, (done.stdout + done.stderr).strip().split("\n")[0]
    return None, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2000, help="in how many seeds a bug has to be found (2000)")
    parser.add_argument("--only", default="", help="bugs whose name has this in it")
    parser.add_argument("--list", action="store_true", help="only see whether each bug can be planted")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant[0]]
    stale = [(name, path) for name, path, old, _, _ in chosen if (ROOT / path).read_text().count(old) != 1]
    for name, path in stale:
        print(f"not planted: {name}: its text is not in {path} once", file=sys.stderr)
    if stale or options.list:
        return 1 if stale else 0
    COPY.mkdir(parents=True, exist_ok=True)
    tree = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "x", "-m"], cwd=COPY, input=tree, check=True)
    is_built, seconds = build()
    if not is_built:
        return 1
    for scenario in sorted({mutant[4] for mutant in chosen}):
        seed, said = find(scenario, 40, 40)
        if seed is not None:
            print(f"scenario {scenario} fails without a planted bug, seed {seed}: {said}", file=sys.stderr)
            return 1
    missed = 0
    for name, path, old, new, scenario in chosen:
        source = COPY / path
        whole = source.read_text()
        source.write_text(whole.replace(old, new))
        try:
            is_built, seconds = build()
            if not is_built:
                print(f"does not build: {name}", file=sys.stderr)
                missed += 1
                continue
            seed, said = find(scenario, options.seeds, 100)
        finally:
            source.write_text(whole)
        missed += seed is None
        result = f"found by seed {seed}" if seed is not None else f"NOT FOUND in {options.seeds} seeds"
        print(f"{result:<26}{scenario:<10}{name} (built in {seconds:.0f} s): {said[:120]}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} planted bugs found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
