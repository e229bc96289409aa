#!/usr/bin/env bash
# Compiles every GPU kernel for every architecture, without a GPU: NVRTC comes from where the user says, from the system,
# or once as a wheel (100 MB) into the cache. Without it the check is skipped by name.
set -euo pipefail
cd "$(dirname "$0")/.."

version=13.0.88
wheel=${XDG_CACHE_HOME:-$HOME/.cache}/attentionstore/nvrtc-$version

fetch() {
  mkdir -p "$(dirname "$wheel")"
  local aside
  aside=$(mktemp -d "$wheel.XXXXXX")
  if python3 -m pip install --quiet --no-deps --only-binary=:all: --target "$aside" "nvidia-cuda-nvrtc==$version"; then
    mv "$aside" "$wheel"
  else
    rm -rf "$aside"
    return 1
  fi
}

if [ -z "${ATTENTIONSTORE_NVRTC_DIR:-}" ] && ! ldconfig -p 2>/dev/null | grep -q libnvrtc.so; then
  [ -d "$wheel" ] || fetch || { echo 'skipped check-kernels: no NVRTC here, and its wheel cannot be fetched'; exit 0; }
  export ATTENTIONSTORE_NVRTC_DIR=$wheel
fi
cargo test --release --locked --quiet -p attentionstore-cuda --test kernels_compile
