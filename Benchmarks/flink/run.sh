#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts the tuned cluster, runs one plan line per argument, stops the cluster. Output: tab-separated, one line per run.
#
#   run.sh "q5 gen 2000000 1 blackhole 3"     query source events parallelism sink repetitions [key=value;...]
#   run.sh "micro count 5000000 1 1000000 3"  micro name events parallelism keys repetitions [key=value;...]
#
# Sources: gen, json:DIR, csv:DIR (absolute folders). Sinks: blackhole, csv:DIR, golden:FILE.
# Env: WORK, and what cluster.sh takes (TM_MEM, SLOTS, REST, RPC, FLINK_OPTS, JAVA).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export WORK=${WORK:-$here/../.work}
"$here/setup.sh" >&2
WORK=$(cd "$WORK" && pwd)
export FLINK_HOME=$WORK/flink/pyflink RUN=${RUN:-$WORK/run} REST=${REST:-18081}
trap '"$here/cluster.sh" stop' EXIT
"$here/cluster.sh" start 1 >&2
tm=$(cat "$RUN/tm0.pid")
for line in "$@"; do
  if [[ $line == micro\ * ]]; then
    echo "${line#micro }" | "$here/client.sh" Micro "$REST" "$tm" - -
  else
    echo "$line" | "$here/client.sh" Bench "$REST" "$tm" "$here/../nexmark-sql" - -
  fi
done
