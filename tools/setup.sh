#!/bin/sh
# Build the virtual environment. Called by `make setup` as: VENV=path PYTHON=maybe sh tools/setup.sh PACKAGE...
# Needs Python 3.11 to 3.13 with venv and a way to its package index, nothing else. Safe to interrupt and to repeat.
set -eu

: "${VENV:=.venv}" "${PYTHON:=}"
export UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV || true

fits() {
    "$@" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "setup: no usable Python: wanted 3.11, 3.12 or 3.13 with venv, tried: ${PYTHON:-python3.13 python3.12 python3.11 python3}" >&2
    echo "setup: install one (Debian, Ubuntu: apt-get install python3 python3-venv) or say which: make setup PYTHON=/path/to/python3.12" >&2
    return 1
}

if ! fits "$VENV/bin/python"; then
    python=$(find_python)
    echo "setup: $VENV from $("$python" --version)"
    "$python" -m venv --clear "$VENV"
fi

echo "setup: packages"
"$VENV/bin/python" -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
uv() { "$VENV/bin/uv" "$@" --quiet --python "$VENV/bin/python"; }
uv pip install --require-hashes -r requirements/dev.txt

if "$VENV/bin/python" -m tools.java; then
    echo "setup: using the Java that is there"
else
    echo "setup: no Java 17 or newer found, installing a run time into $VENV"
    uv pip install --require-hashes -r requirements/java.txt
fi

editable=
for package in "$@"; do
    editable="$editable --editable $package"
done
# shellcheck disable=SC2086 # one option a word
uv pip install --no-deps --no-build-isolation $editable

touch "$VENV/.ready"
echo "setup: done"
