#!/bin/bash
# Builds the environments of build.sh, checks them, reads the wheels, and removes everything again.
#
#   tests/environments/run.sh DIR [PYTHON]        needs 25 GB in DIR, uv, pip and the package index; about half an hour
set -eu
dir=$(realpath -m "${1:?a directory that does not exist yet}")
here=$(dirname "$(realpath "$0")")
[ -e "$dir" ] && { echo "$dir exists; name a directory that may be removed" >&2; exit 2; }
trap 'rm -rf "$dir"' EXIT
cd "$here/../.."

check() { GPUDOCTOR_ENVIRONMENTS=$dir cargo test --locked --test environments -- --ignored --nocapture --test-threads 1 "$@"; }

"$here/build.sh" "$dir" "${2:-python3.12}"
check --skip targets_of_wheels_are_those_of_the_catalogue
# Their room is needed for the wheels.
rm -rf "${dir:?}"/*
"$here/build.sh" "$dir" --wheels
check targets_of_wheels_are_those_of_the_catalogue
