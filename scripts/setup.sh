#!/usr/bin/env bash
# Installs what the build and the tests need on Debian 12, and packages named as arguments. Quick when all is present;
# safe to run again.
set -euo pipefail

packages=(
    git libstdc++-12-dev              # fetching dependencies; the C++ parser behind the JSON format
    libsimdjson-dev zlib1g-dev        # the JSON and gzip formats
    libzstd-dev libxxhash-dev         # compression and checksums of snapshots
    libmimalloc-dev                   # malloc of the executables
    python3 gzip                      # benchmarks and test data
    "$@"                              # what optional parts need
)
swift_major_min=6
swift_minor_min=3

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

check_swift() {
    local version
    command -v swift >/dev/null 2>&1 ||
        fail "swift is missing" "hint: install Swift ${swift_major_min}.${swift_minor_min} or later and put it on PATH"
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1)
    [[ $version =~ ^([0-9]+)\.([0-9]+)$ ]] || fail "cannot read the version of $(command -v swift)"
    if ((BASH_REMATCH[1] < swift_major_min)) ||
        ((BASH_REMATCH[1] == swift_major_min && BASH_REMATCH[2] < swift_minor_min)); then
        fail "Swift $version is too old" "hint: install Swift ${swift_major_min}.${swift_minor_min} or later"
    fi
}

# Prints the packages that are not installed, one a line.
missing_packages() {
    local package
    for package in "${packages[@]}"; do
        [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || echo "$package"
    done
}

# Runs apt-get as root; waits for another apt to finish.
apt() {
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null 2>&1 || fail "installing packages needs root, and sudo is missing" \
            "hint: as root, run: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq "$@"
}

once_more() {
    "$@" && return
    echo "setup: trying once more: ${*:2}" >&2
    sleep 5
    "$@"
}

check_swift
command -v dpkg-query >/dev/null 2>&1 || fail "this is not Debian" \
    "hint: install the equivalents of these packages, then build with swift directly: ${packages[*]}"
mapfile -t missing < <(missing_packages)
if ((${#missing[@]} > 0)); then
    echo "setup: installing ${missing[*]}"
    once_more apt update || fail "apt-get update failed twice"
    once_more apt install -y --no-install-recommends "${missing[@]}" ||
        fail "apt-get install failed twice: ${missing[*]}"
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]} == 0)) || fail "still missing: ${missing[*]}"
fi
