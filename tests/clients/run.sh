#!/usr/bin/env bash
# Drives the clients that others use against the simulator: the vendor's Node client, and two for
# Python. Each is installed in its pinned version from the package registry that npm and pip are
# set up for, into a folder that a later run finds again.
#
# usage: run.sh PATH_TO_INTACCT_SIM [FOLDER]
#
# A client whose tools or packages cannot be had is skipped, with the reason; under CI=true that
# fails instead.
set -euo pipefail
cd "$(dirname "$0")" || exit
sim=$(cd "$OLDPWD" && realpath "$1")
folder=$(cd "$OLDPWD" && realpath -m "${2:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/intacct-sim-clients}")
mkdir -p "$folder"
log=$(mktemp)
running=
trap 'stop; rm -f "$log"' EXIT

stop() {
    if [ -n "$running" ]; then
        kill "$running" 2>/dev/null || true
        wait "$running" 2>/dev/null || true
        running=
    fi
}

# Starts a simulator of its own for a client and sets $url.
start() {
    stop
    exec 3< <(exec "$sim" --scale tiny)
    running=$!
    read -r _ _ url <&3
}

skip() {
    sed 's/^/    /' "$log" | tail -n 5
    if [ "${CI:-}" = true ]; then
        echo "failed: $1: $2" >&2
        exit 1
    fi
    echo "skipped: $1: $2"
}

node_client() {
    : >"$log"
    for tool in node npm; do
        if ! command -v "$tool" >/dev/null; then
            skip intacct-sdk "there is no $tool"
            return
        fi
    done
    local home="$folder/intacct-sdk"
    mkdir -p "$home"
    if ! cmp -s intacct-sdk/package.json "$home/installed.json"; then
        cp intacct-sdk/package.json "$home/package.json"
        if ! npm install --prefix "$home" --no-package-lock --no-audit --no-fund \
            --ignore-scripts >"$log" 2>&1; then
            skip intacct-sdk "npm cannot install it"
            return
        fi
        cp intacct-sdk/package.json "$home/installed.json"
    fi
    start
    echo "-- intacct-sdk (Node)"
    NODE_PATH="$home/node_modules" node intacct-sdk/test.js "$url"
}

python_client() {
    : >"$log"
    if ! command -v python3 >/dev/null; then
        skip "$1" "there is no python3"
        return
    fi
    local home="$folder/$1"
    # The Python that an environment was made with may have gone since.
    if ! cmp -s "$1/requirements.txt" "$home/installed.txt" || ! "$home/bin/python" -c '' 2>/dev/null; then
        rm -rf "$home"
        if ! python3 -m venv "$home" >"$log" 2>&1; then
            skip "$1" "python3 cannot make a virtual environment"
            return
        fi
        if ! "$home/bin/pip" install --disable-pip-version-check \
            --requirement "$1/requirements.txt" >"$log" 2>&1; then
            skip "$1" "pip cannot install it"
            return
        fi
        cp "$1/requirements.txt" "$home/installed.txt"
    fi
    start
    echo "-- $1 (Python)"
    PYTHONDONTWRITEBYTECODE=1 "$home/bin/python" "$1/test.py" "$url"
}

node_client
python_client sageintacctsdk
python_client pyintacct
