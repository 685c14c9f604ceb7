#!/bin/sh
# Makes the documentation's pictures anew: the demonstration's report as Chromium shows it. Needs: chromium.
set -eu
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bin/opencram" run baghdad-2020-11-17 --out "$out/run" >/dev/null
chromium --headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars \
    --user-data-dir="$out/profile" --window-size=1000,1330 \
    --screenshot="$PWD/docs/images/baghdad-2020-11-17.png" "file://$out/run/report.html" 2>/dev/null
ls -l docs/images/*.png
