#!/usr/bin/env bash
# Builds the image and the tests.
# shellcheck source=e2e/scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need docker cargo

docker build --tag "$image" "$repository"
cargo build --locked --manifest-path "$repository/Cargo.toml" --package jwtlet-e2e
