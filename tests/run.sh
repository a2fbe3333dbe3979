#!/bin/sh
# sh tests/run.sh [--full]
# Installs what is missing (Debian, Ubuntu), builds the tiers and runs their tests in one ctest:
#   release  all suites, the Spin model, the install routes; warnings are errors
#   asan     AddressSanitizer, leaks and UBSan, all suites at reduced sizes
#   tsan     ThreadSanitizer: flow, net, api, sse, contract, stress
# --full: every suite in every tier, at full size (normal under sanitizers), and two more tiers:
#   thread-safety  clang with -Wthread-safety        tidy  clang-tidy, build only
# WEIR_TEST_SIZE=small|normal|full overrides the sizes. Exit 0: everything passed.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."
exec </dev/null

full=
case ${1-} in
  '') ;;
  --full) full=yes ;;
  *)
    echo "usage: sh tests/run.sh [--full]" >&2
    exit 2
    ;;
esac

start=$(date +%s)
elapsed() { echo $(($(date +%s) - start)); }
say() { printf '\n== [%4d s] %s\n' "$(elapsed)" "$*"; }
fail() {
  say "FAILED: $*"
  exit 1
}

# Loopback only: no proxy may stand between.
unset http_proxy https_proxy all_proxy ftp_proxy no_proxy
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY FTP_PROXY NO_PROXY

jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
tiers="release asan tsan"
skip='^tsan\.(base|decode|harness|backpressure|interop|fuzz)/'
tsan_targets="weir-test-flow weir-test-net weir-test-api weir-test-sse weir-test-contract
  weir-test-stress"
deps=--test
if [ -n "$full" ]; then
  tiers="release asan tsan thread-safety"
  skip='^$'
  tsan_targets=all
  deps=--full
  WEIR_TEST_SIZE=${WEIR_TEST_SIZE:-full}
  export WEIR_TEST_SIZE
fi

build() {
  say "building $1"
  cmake --preset "$1" || fail "configuring $1"
  if [ "$1" = tsan ]; then
    # shellcheck disable=SC2086
    cmake --build --preset tsan -j "$jobs" --target $tsan_targets || fail "building $1"
  else
    cmake --build --preset "$1" -j "$jobs" || fail "building $1"
  fi
}

say "checking dependencies"
sh cmake/deps.sh $deps || fail "missing dependencies"
for tier in $tiers; do
  build "$tier"
done
if [ -n "$full" ]; then
  build tidy
fi

# One ctest over the build folders of all tiers, so that one summary covers them.
mkdir -p build/tests
for tier in $tiers; do
  echo "subdirs(../$tier)"
done >build/tests/CTestTestfile.cmake

say "running the tests of: $tiers (size: ${WEIR_TEST_SIZE:-default})"
result=0
ctest --test-dir build/tests -j 2 --output-on-failure --no-label-summary --no-tests=error \
  -E "$skip" || result=$?
if [ $result -ne 0 ]; then
  fail "ctest found failures, see above (its log: build/tests/Testing/Temporary/LastTest.log)"
fi
say "PASSED: $tiers"
