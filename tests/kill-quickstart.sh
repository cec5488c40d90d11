#!/usr/bin/env bash
# Kills the quickstart with SIGKILL at random moments and starts it again in the same folder. At
# the end it must tie out: no row twice, none missing, by its own comparison and by the file's.
#
#   kill-quickstart.sh QUICKSTART DIR [KILLS] [SEED]
set -euo pipefail

quickstart=$1 dir=$2 kills=${3:-10}
RANDOM=${4:-$$}
scale=tiny
mkdir -p "$dir"

run=("$quickstart" --dir "$dir/data" --scale "$scale" --json)

# How long a whole run takes, so that the kills fall into all of it.
begun=$(date +%s%N)
"$quickstart" --dir "$dir/measured" --scale "$scale" --json >"$dir/measured.json"
length=$((($(date +%s%N) - begun) / 1000000))
echo "a whole run takes $length ms"

landed=0 starts=0
while [ "$landed" -lt "$kills" ] && [ "$starts" -lt $((3 * kills)) ]; do
    starts=$((starts + 1))
    "${run[@]}" >"$dir/killed.json" 2>"$dir/killed.err" &
    child=$!
    after=$((RANDOM % length))
    sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
    kill -KILL "$child" 2>/dev/null || true
    status=0
    wait "$child" 2>/dev/null || status=$?
    case $status in
    137) landed=$((landed + 1)) ;;
    0) ;; # It was faster than the kill.
    *)
        echo "start $starts ended with $status:" >&2
        cat "$dir/killed.err" >&2
        exit 1
        ;;
    esac
    echo "start $starts: killed after $after ms (status $status)"
done
echo "$landed of $starts starts were killed"
[ "$landed" -ge "$kills" ]

"${run[@]}" >"$dir/last.json" || { cat "$dir/last.json" >&2; exit 1; }
grep -q '"ties_out": true' "$dir/last.json"
echo "it ties out"
