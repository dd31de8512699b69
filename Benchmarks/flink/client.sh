#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a client of the cluster: client.sh Bench|Micro ARGUMENTS... (see the Java sources). Env: FLINK_HOME, JAVA.
set -euo pipefail
: "${FLINK_HOME:?}"
class=$1
shift
exec "${JAVA:-java}" -Xmx512m \
  --add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED \
  --add-opens=java.base/java.util.concurrent=ALL-UNNAMED --add-opens=java.base/java.net=ALL-UNNAMED \
  --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/java.time=ALL-UNNAMED \
  -cp "$FLINK_HOME/lib/*" "nexbench.$class" "$@"
