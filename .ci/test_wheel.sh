#!/bin/sh
# Builds the wheel, installs it in a fresh environment, and uses it from a folder from which the source is out of reach.
# usage: test_wheel.sh PYTHON   (an interpreter that has `build`)
set -eu
cd "$(dirname "$0")/.."
case $1 in /*) python=$1 ;; *) python=$PWD/$1 ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

"$python" -m build --wheel --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check "$work"/dist/*.whl

mkdir "$work/elsewhere"
cp .ci/use_wheel.py "$work/elsewhere"
cd "$work/elsewhere"
unset PYTHONPATH
"$work/venv/bin/agentmesh" --help >help.txt
grep -q demo help.txt
"$work/venv/bin/agentmesh" demo --json --db "sqlite:///$work/elsewhere/demo.db" >demo.json
"$work/venv/bin/python" use_wheel.py demo.json "$work/venv"
echo "the wheel works: $(ls "$work/dist")"
