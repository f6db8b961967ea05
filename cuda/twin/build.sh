#!/bin/sh
# Builds the twin as a shared library: build.sh OUTPUT [flag for the kernels ...], e.g. -fsanitize=address.
# TWIN_SOURCE names another folder to take the kernels from.
set -eu
twin=$(cd "$(dirname "$0")" && pwd)
output=$1
shift
kernels=${TWIN_SOURCE:-$twin/..}/twin/kernels.cc
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
common="-std=c++17 -g1 -fPIC -ffp-contract=off -Wall -Wextra -Wno-unknown-pragmas"
# The runtime is never instrumented: it is what carries the threads, not one of them.
# shellcheck disable=SC2086
${CXX:-g++} $common -O2 -c "$twin/runtime.cc" -o "$objects/runtime.o"
# shellcheck disable=SC2086
${CXX:-g++} $common -O2 "$@" -c "$kernels" -o "$objects/kernels.o"
${CXX:-g++} -shared -o "$output" "$objects/runtime.o" "$objects/kernels.o" "$@"
