#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches Apache Flink (the jars of the apache-flink-libraries wheel), compiles the harness, builds its jar.
# Does nothing when all of that is up to date. Env: WORK (work folder, default Benchmarks/.work).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$here/../.work}
version=2.3.0
mkdir -p "$work"
work=$(cd "$work" && pwd)
home=$work/flink/pyflink

missing=""
command -v javac >/dev/null && command -v jar >/dev/null || missing="$missing openjdk-17-jdk-headless"
command -v curl >/dev/null || missing="$missing curl"
python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
  else
    echo "missing:$missing; install these packages" >&2
    exit 1
  fi
fi

stamp=$(cat "$here"/src/nexbench/*.java "$here"/src/META-INF/services/* | sha256sum | cut -c1-16)-$version
if [ -f "$work/flink.stamp" ] && [ "$(cat "$work/flink.stamp")" = "$stamp" ]; then
  exit 0
fi
if [ ! -f "$work/flink.version" ] || [ "$(cat "$work/flink.version")" != "$version" ]; then
  echo "fetching apache-flink-libraries $version (330 MB)"
  rm -rf "$work/flink"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --target "$work/flink" "apache-flink-libraries==$version"
  echo "$version" >"$work/flink.version"
fi
echo "compiling the harness"
rm -rf "$work/classes"
mkdir -p "$work/classes"
javac -nowarn -d "$work/classes" -cp "$home/lib/*" "$here"/src/nexbench/*.java
cp -r "$here/src/META-INF" "$work/classes/"
jar cf "$home/lib/nexbench.jar" -C "$work/classes" .
echo "$stamp" >"$work/flink.stamp"
