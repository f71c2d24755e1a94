#!/usr/bin/env bash
# A real API server sends to a real Tidewatch. Installs what that needs; the Go build cache stays where Go keeps it, so that only the
# first run on a machine builds an API server (about four minutes).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

need etcd etcd-server
need curl curl
need openssl openssl
need go golang-go
cargo test --test apiserver
