#!/bin/sh
# sh cmake/deps.sh [--build | --test | --full]: installs what is missing on Debian and Ubuntu.
# --build: to compile weir and its samples; --test (default): to run its tests as well;
# --full: clang and its tools too. Elsewhere, or without root, it prints the names and fails.
set -eu

set_name=test
for argument in "$@"; do
  case $argument in
    --build | --test | --full) set_name=${argument#--} ;;
    *)
      echo "usage: sh cmake/deps.sh [--build | --test | --full]" >&2
      exit 2
      ;;
  esac
done

PATH=$PATH:/usr/sbin:/sbin

has_header() {
  for folder in /usr/include /usr/include/*-linux-gnu* /usr/local/include; do
    if [ -e "$folder/$1" ]; then return 0; fi
  done
  return 1
}

missing=
program() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
header() { has_header "$1" || missing="$missing $2"; }

program g++ g++
program cmake cmake
program ninja ninja-build
program pkg-config pkg-config
header curl/curl.h libcurl4-openssl-dev
header openssl/ssl.h libssl-dev
header zlib.h zlib1g-dev
header brotli/decode.h libbrotli-dev
header zstd.h libzstd-dev
header nghttp2/nghttp2.h libnghttp2-dev
header nlohmann/json.hpp nlohmann-json3-dev
if [ $set_name != build ]; then
  program ccache ccache
  header doctest/doctest.h doctest-dev
  header benchmark/benchmark.h libbenchmark-dev
  program nginx nginx-light
  program nghttpd nghttp2-server
  program apache2 apache2-bin
  program squid squid
  program spin spin
  program valgrind valgrind
fi
if [ $set_name = full ]; then
  program clang++ clang
  program clang-tidy clang-tidy
  program clang-format clang-format
  set -- /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a
  [ -e "$1" ] || missing="$missing libclang-rt-dev"
fi

if [ -z "$missing" ]; then
  echo "deps: all there ($set_name)"
  exit 0
fi

give_up() {
  echo "deps: $1" >&2
  echo "deps: please install (Debian's names):$missing" >&2
  exit 1
}

command -v apt-get >/dev/null 2>&1 || give_up "no apt-get on this system"
as_root=
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || give_up "neither root nor able to use sudo without a password"
  as_root="sudo -n"
fi

# Servers are wanted as programs. Their packages would start them, now and at each boot.
guard=
new_services=
for service in nginx squid; do
  case $missing in *" $service"*) new_services="$new_services $service" ;; esac
done
if [ -n "$new_services" ] && [ ! -e /usr/sbin/policy-rc.d ]; then
  guard=/usr/sbin/policy-rc.d
  trap '$as_root rm -f "$guard"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$guard" >/dev/null
  $as_root chmod 755 "$guard"
fi

apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

echo "deps: installing$missing"
apt update || echo "deps: apt-get update failed, trying with the lists at hand" >&2
# Names without spaces, split on purpose.
# shellcheck disable=SC2086
apt install -y --no-install-recommends $missing || give_up "apt-get could not install them"

if [ -n "$new_services" ] && [ -d /run/systemd/system ]; then
  for service in $new_services; do
    $as_root systemctl disable --now --quiet "$service" || true
  done
fi
echo "deps: done"
