#!/bin/sh
# sh tests/bench/run.sh [option of weir-bench...]
# Builds the benchmarks optimised, in build/bench, and compares weir with a plain libcurl program.
# sh tests/bench/run.sh --flow [option of Google Benchmark...]: what lib/flow costs alone.
# sh tests/bench/run.sh --sse [the same]: the parser of lib/sse, beside what it must cost at least.
# sh tests/bench/run.sh --events [option of weir-bench-events...]: server-sent events end to end,
#   their latency and speed, and what many sources cost.
# sh tests/bench/run.sh --decode [...]: what decoding costs beside the codecs alone.
# Exit 0: every bar was met.
set -eu
unset CDPATH
cd "$(dirname "$0")/../.."
unset http_proxy https_proxy all_proxy ftp_proxy no_proxy
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY FTP_PROXY NO_PROXY

cmake --preset release -B build/bench -DWEIR_BUILD_BENCHMARKS=ON -DWEIR_BUILD_TESTS=OFF \
  -DWEIR_BUILD_SAMPLES=OFF >/dev/null
cmake --build build/bench -j "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)"

case ${1-} in
  --flow | --sse | --events | --decode)
    program=weir-bench-${1#--}
    shift
    exec "build/bench/tests/bench/$program" "$@"
    ;;
esac
exec build/bench/tests/bench/weir-bench "$@"
