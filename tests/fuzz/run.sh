#!/bin/sh
# Runs the fuzz targets, each for a while: tests/fuzz/run.sh SECONDS [TARGET…]
#
# What is found that is new stays in .cache/fuzz/corpus, beside the committed seeds; an input that makes a target fail is kept in
# .cache/fuzz/findings, and its path is printed.
set -eu
cd "$(dirname "$0")/../.."
seconds=$1
shift
work=$PWD/.cache/fuzz
fuzz="cargo +${FUZZ_TOOLCHAIN:-nightly} fuzz"
options="--fuzz-dir tests/fuzz --target-dir $work/target"

# the same versions as the service's
cp Cargo.lock tests/fuzz/Cargo.lock
$fuzz build $options
[ $# -gt 0 ] || set -- $($fuzz list --fuzz-dir tests/fuzz)

# the inputs' files change thousands of times a second
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$scratch"' EXIT INT TERM
export TMPDIR="$scratch" RAYON_NUM_THREADS=1

failed=
for target; do
    mkdir -p "$work/corpus/$target" "$work/findings/$target"
    # golden files are seeds too: small, of our own make, and of every kind
    case $target in
        image | image_header) more=tests/golden/images ;;
        checkpoint) more=tests/golden/pickle ;;
        *) more= ;;
    esac
    seeds="$more $([ -d "tests/fuzz/seeds/$target" ] && echo "tests/fuzz/seeds/$target" || true)"
    log=$work/$target.log
    if $fuzz run $options "$target" "$work/corpus/$target" $seeds -- -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=1536 -malloc_limit_mb=512 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$work/findings/$target/" >"$log" 2>&1; then
        executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
        echo "$target: $executions executions, at most $memory MiB, nothing found"
    else
        failed="$failed $target"
        tail -n 40 "$log"
        echo "$target: FAILED, see $log; the input is the newest file in $work/findings/$target"
    fi
done
[ -z "$failed" ] || { echo "findings in:$failed"; exit 1; }
