#!/bin/sh
# make-venv.sh FOLDER [EXTRA]: a virtual environment with this project installed in it, editable.
# uv is used where it is present; plain venv and pip do the same, slower. Run it again after pyproject.toml has changed.
set -eu
venv=$1
target=.${2:+[$2]}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        if new_enough "$name"; then command -v "$name"; return; fi
    done
    echo "opencram needs Python 3.11 or newer; found ${PYTHON:-$(python3 --version 2>/dev/null || echo none)}." >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3.11" >&2
    return 1
}

make_venv() {
    "$1" -m venv "$venv" >/dev/null 2>&1 && return
    # Debian splits venv off from its Python; where pip is there all the same, it can fill an environment from outside.
    "$1" -m venv --clear --without-pip "$venv" && "$1" -m pip --python "$venv/bin/python" install -q pip && return
    rm -rf "$venv"
    echo "$1 cannot make a virtual environment here (on Debian and Ubuntu: apt install python3-venv)." >&2
    return 1
}

if [ -e "$venv/bin/python" ] && ! new_enough "$venv/bin/python"; then rm -rf "$venv"; fi   # its Python has gone or aged
if command -v uv >/dev/null 2>&1; then
    [ -e "$venv/bin/python" ] || uv venv --quiet --python "${PYTHON:->=3.11}" "$venv"
    uv pip install --quiet --python "$venv/bin/python" --editable "$target"
else
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        make_venv "$python"
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$target"
fi
