#!/bin/sh
# sh samples/demo.sh
# From a fresh clone to the demo: installs what is missing to build (Debian, Ubuntu), builds
# weir-harness in build/demo, and lets it show a slow reader that slows the server.
# Exit 0: every bound held and every byte was right.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."
exec </dev/null

folder=build/demo
log=$folder/build.log
terminal=
if [ -t 1 ]; then terminal=yes; fi

fail() {
  echo "demo: FAILED: $*" >&2
  exit 1
}
fail_with_log() {
  sed 's/^/  | /' "$log" | tail -n 40 >&2
  fail "$1; all of it is in $PWD/$log"
}

echo "demo: checking dependencies"
sh cmake/deps.sh --build || fail "missing dependencies"

mkdir -p "$folder"
echo "demo: configuring $folder"
cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DWEIR_BUILD_HARNESS=ON \
  -DWEIR_BUILD_TESTS=OFF -DWEIR_BUILD_SAMPLES=OFF -DWEIR_INSTALL=OFF -DWEIR_WERROR=OFF \
  >"$log" 2>&1 || fail_with_log "cmake could not configure"

echo "demo: building weir-harness"
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
ninja -C "$folder" -j "$jobs" weir-harness >"$log" 2>&1 &
build=$!
trap 'kill $build 2>/dev/null; exit 1' HUP INT TERM
seconds=0
while kill -0 $build 2>/dev/null; do
  sleep 1
  seconds=$((seconds + 1))
  step=$(sed -n 's/^\[\([0-9]*\/[0-9]*\)\].*/\1/p' "$log" | tail -n 1)
  if [ -n "$terminal" ]; then
    printf '\r      %s, %s s ' "$step" $seconds
  elif [ $((seconds % 10)) -eq 0 ]; then
    echo "      $step, $seconds s"
  fi
done
if [ -n "$terminal" ]; then printf '\r\033[K'; fi
result=0
wait $build || result=$?
trap - HUP INT TERM
if [ $result -ne 0 ]; then fail_with_log "the build failed"; fi

echo
"$folder/weir-harness" demo || fail "see above"
echo
echo "demo: PASSED"
