#!/usr/bin/env bash
# What the samples and corpora beside the repository must show: `.ci/shared.sh TIDEWATCH SHARED`, with a release binary and
# the folder that holds them. They are too large, or not ours, to be fixtures.
set -euo pipefail
tidewatch=$1
shared=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

fail() {
    echo "FAILED: $*"
    exit 1
}

# number WORD: the number before a word of the last summary, without the marks between thousands; 0 if there is none.
number() {
    local found
    found=$(grep -oE "[0-9,]+ $1" "$scratch/summary" | head -n 1 | tr -dc 0-9 || true)
    echo "${found:-0}"
}

replay() {
    "$tidewatch" replay "$@" >"$scratch/alerts" 2>"$scratch/summary" || { cat "$scratch/summary"; fail "replay $*"; }
}

need jq jq
need zstd zstd
[[ -x /usr/bin/time ]] || need time time

# Every record of other people's projects is judged, or refused for a reason that was checked by reading it: Azure's
# activity log, other Google services, two lines that are no audit events.
jq -c .event "$shared/samples/events.ndjson" >"$scratch/samples.ndjson"
replay "$scratch/samples.ndjson" --rejects "$scratch/rejects"
judged=$(($(number judged) + $(number repeated)))
reasons=$(jq -r .reason "$scratch/rejects" | sort | uniq -c | awk '{ printf "%s%s %s", sep, $2, $1; sep = ", " }')
echo "samples: $judged of $(wc -l <"$scratch/samples.ndjson") records are events; the others: $reasons"
[[ $judged == 345 && $reasons == 'azure_activity 3, gke_other_service 13, not_an_audit_event 2' ]] || fail 'samples'

# Silence on ordinary life is necessary, not sufficient.
replay "$shared/corpus/benign.ndjson.zst" --format line --min-level medium
findings=$(wc -l <"$scratch/alerts")
echo "benign corpus: $findings findings at medium or above in $(number judged) events"
sed 's/^/  /' "$scratch/alerts"
[[ $(number judged) == 97027 && $findings -le 10 ]] || fail 'benign corpus'

/usr/bin/time -f %M -o "$scratch/memory" "$tidewatch" replay "$shared/corpus/mixed.ndjson.zst" --format line \
    >"$scratch/alerts" 2>"$scratch/summary"
mebibytes=$(($(cat "$scratch/memory") / 1024))
echo "mixed corpus: peak memory $mebibytes MiB; $(grep -oE '[0-9.]+ MB read.*' "$scratch/summary")"
[[ $(number judged) == 217600 && -s $scratch/alerts && $mebibytes -le 256 ]] || fail 'mixed corpus'

# The reference evaluator is slow by design: it judges one event in fifty, in the profile that the tests were built for.
cargo bench --quiet --profile test --bench agree -- "$shared/corpus/mixed.ndjson.zst" --every 50
