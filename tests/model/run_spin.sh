#!/bin/sh
# run_spin.sh <model> <macro> [<work folder>]: explores <model>.pml whole, without and with the
# macro, and checks that it finds each of the mistakes it knows (BREAK_...) without it or with it.
# Fails on any error, on a search that was cut short, and on a mistake not found.
set -eu
model=$(cd "$(dirname "$0")" && pwd)/$1.pml
variant=-D$2
folder=${3:-$(mktemp -d)}
mkdir -p "$folder"
cd "$folder"

# explore <name> <macros>: leaves what pan said in <name>.log
explore() {
  name=$1
  shift
  mkdir -p "$name"
  (cd "$name" && spin "$@" -a "$model" && cc -O2 -DSAFETY -DNOCLAIM -DCOLLAPSE -o pan pan.c &&
    ./pan -m100000 -w24) >"$name.log" 2>&1 || true
}
found_none() {
  grep -q 'errors: 0$' "$1.log" &&
    ! grep -q -e 'Search not completed' -e 'max search depth too small' "$1.log"
}
states() { sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$1.log"; }

failed=0
for macros in "" "$variant"; do
  name=whole$macros
  explore "$name" $macros
  if found_none "$name"; then
    echo "ok    $name: $(states "$name") states, no error"
  else
    echo "FAIL  $name"
    tail -n 30 "$name.log"
    failed=1
  fi
done
found() { grep -q -e '^pan:1: assertion violated' "$1.log"; }
for mistake in $(sed -n 's/^#if.*\(BREAK_[A-Z_]*\).*/\1/p' "$model" | sort -u); do
  explore "$mistake" "-D$mistake"
  found "$mistake" || explore "$mistake" "-D$mistake" "$variant"
  if found "$mistake"; then
    echo "ok    $mistake: found"
  else
    echo "FAIL  $mistake: not found"
    tail -n 30 "$mistake.log"
    failed=1
  fi
done
exit $failed
