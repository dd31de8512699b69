#!/usr/bin/env bash
# Builds the fuzz targets and lets each run for a time: scripts/fuzz.sh SECONDS TARGET...
#
# A finding stops its target and lies in out/fuzz/TARGET; see Fuzz/README.md for what to do with it. Exit code 1 if there
# is one.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift

# Swift takes the last list of sanitizers only; the linker that is taken by default does not know the sections of the
# instrumentation.
swift build -c release --product thalweg-fuzz --package-path Fuzz --scratch-path .build/fuzz \
    --sanitize fuzzer --sanitize address -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld
found=0
for target in "$@"; do
    folder=out/fuzz/$target
    mkdir -p "$folder/corpus"
    echo "$target: $seconds s"
    # Swift's own account of a crash reads memory that the sanitizer guards.
    FUZZ_TARGET=$target SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 .build/fuzz/release/thalweg-fuzz \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$folder/finding-" "$folder/corpus" "Fuzz/Corpus/$target" > "$folder/log" 2>&1 || found=1
    grep -E "^stat::|^SUMMARY|Test unit written|Fatal error|a finding" "$folder/log" || tail -5 "$folder/log"
done
exit $found
