#!/usr/bin/env bash
# Runs the suite of the BigQuery sink against an emulator that others wrote: the Python package
# local-bigquery, which runs on DuckDB. It is installed in its pinned version from the package index
# that pip is set up for, into a folder that a later run finds again.
#
# usage: bigquery.sh [FOLDER]
#
# It needs Python 3.13. Where there is none, or where the packages cannot be had, the suite is skipped,
# saying so; under CI=true that fails instead.
set -euo pipefail
cd "$(dirname "$0")" || exit
folder=$(cd "$OLDPWD" && realpath -m "${1:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/local-bigquery}")
log=$(mktemp)
data=$(mktemp -d)
running=
trap 'stop; rm -rf "$log" "$data"' EXIT

stop() {
    if [ -n "$running" ]; then
        kill "$running" 2>/dev/null || true
        wait "$running" 2>/dev/null || true
        running=
    fi
}

# The first Python 3.13 that starts: of the path, or of pyenv.
find_python() {
    local candidate
    for candidate in python3.13 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Without the emulator: says why, which is a failure only where it has to be there.
left_out() {
    if [ "${CI:-}" = true ]; then
        echo "failed: $1" >&2
        exit 1
    fi
    echo "skipped: $1"
    exit 0
}

if ! python=$(find_python); then
    left_out "the emulator of BigQuery needs Python 3.13, and there is none"
fi

install() {
    rm -rf "$folder"
    mkdir -p "$(dirname "$folder")"
    "$python" -m venv "$folder" &&
        "$folder/bin/pip" install --disable-pip-version-check --requirement requirements.txt || return 1
    # The emulator would fetch its extensions from elsewhere; here they are packages, put where it looks.
    local version platform
    version=$("$folder/bin/python" -c 'import duckdb; print(duckdb.__version__)') || return 1
    platform=$("$folder/bin/python" -c \
        'import duckdb; print(duckdb.sql("PRAGMA platform").fetchone()[0])') || return 1
    local extensions="$folder/home/.duckdb/extensions/v$version/$platform"
    mkdir -p "$extensions"
    find "$folder/lib" -name '*.duckdb_extension' -exec cp {} "$extensions" \;
    cp requirements.txt "$folder/installed.txt"
}

# The Python that an environment was made with may have gone since.
if ! cmp -s requirements.txt "$folder/installed.txt" || ! "$folder/bin/python" -c '' 2>/dev/null; then
    if ! install >"$log" 2>&1; then
        sed 's/^/    /' "$log" | tail -n 5
        left_out "the emulator of BigQuery cannot be installed"
    fi
fi

ports=$("$folder/bin/python" -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*[it.getsockname()[1] for it in sockets])')
read -r port grpc_port <<<"$ports"
HOME="$folder/home" "$folder/bin/local-bigquery" serve --host 127.0.0.1 --port "$port" \
    --grpc-port "$grpc_port" --data-dir "$data" >"$log" 2>&1 &
running=$!
for _ in $(seq 120); do
    if ! kill -0 "$running" 2>/dev/null; then
        cat "$log" >&2
        echo "failed: the emulator of BigQuery ended" >&2
        exit 1
    fi
    if "$folder/bin/python" -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" \
        2>/dev/null; then
        ready=true
        break
    fi
    sleep 0.5
done
if [ "${ready:-}" != true ]; then
    cat "$log" >&2
    echo "failed: the emulator of BigQuery does not listen" >&2
    exit 1
fi
cd ../..
if ! BIGQUERY_EMULATOR_HOST="127.0.0.1:$port" cargo test -p sink-bigquery --test sink; then
    tail -n 20 "$log" >&2
    exit 1
fi
