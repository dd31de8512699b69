#!/usr/bin/env bash
# Runs the tests that match a filter under the thread sanitizer; fails on any race, also in a test that passed.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p out
log=out/tsan.log
status=0
TSAN_OPTIONS="halt_on_error=0 second_deadlock_stack=1 ${TSAN_OPTIONS:-}" \
    swift test --sanitize thread -Xswiftc -DTHALWEG_SANITIZE_THREAD --scratch-path .build/tsan --filter "${1:-RuntimeTests}" 2>&1 | tee "$log" || status=$?
races=$(grep -c 'WARNING: ThreadSanitizer' "$log" || true)
if ((races > 0)); then
    echo "thread sanitizer: $races reports, in $log" >&2
    exit 1
fi
exit "$status"
