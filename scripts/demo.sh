#!/usr/bin/env bash
# Generates Nexmark events, runs the hot-items job over them, prints the busiest windows and the rate.
# Expects the release binaries to be built: make demo does it.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

events=${1:-1000000}
seed=${2:-42}
input=out/events.jsonl
output=out/hot-items.csv

mkdir -p out
rm -rf "$output"
.build/release/thalweg nexmark generate --events "$events" --seed "$seed" -o "$input"

start=${EPOCHREALTIME/./}
.build/release/hot-items run --input "$input" --output "$output"
micros=$((${EPOCHREALTIME/./} - start))

echo
echo "Most bids in a window ($output):"
head -n 1 "$output" | sed -n '/^[^0-9]/s/^/  /p'
sed '1{/^[^0-9]/d}' "$output" | sort -t, -k2,2nr | sed -n '1,10s/^/  /p'
echo
awk -v events="$events" -v micros="$micros" 'BEGIN {
    printf "%d events in %.2f s: %.0f events per second, start-up included\n", events, micros / 1e6, events * 1e6 / micros
}'
