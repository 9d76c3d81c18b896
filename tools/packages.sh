#!/bin/sh
# The Debian 12 packages that slim is built and tested with, by name, and their installation.
#   sh tools/packages.sh build          what a build needs
#   sh tools/packages.sh build test     and what tests/check.sh needs besides
#   sh tools/packages.sh long           what check.sh --long needs besides
#   sh tools/packages.sh aarch64        a cross build for aarch64, and qemu to run it; adds the architecture arm64 to dpkg
# Installs what is missing (as root, or with sudo). Where nothing is missing apt is not called and no network is used.
set -eu

build="g++ cmake ninja-build pkg-config nlohmann-json3-dev libfmt-dev libssl-dev libxxhash-dev libzstd-dev libhwy-dev libpcre2-dev
libutf8proc-dev libyaml-cpp-dev libcpp-httplib-dev libopenmpi-dev openmpi-bin libgtest-dev libgmock-dev"
test="python3 python3-jsonschema strace e2fsprogs make zsh fish ccache clang clang-format clang-tidy libclang-rt-14-dev"
long="valgrind mmdebstrap binutils"
peers="python3-venv"
aarch64="g++-aarch64-linux-gnu qemu-user libfmt-dev:arm64 libssl-dev:arm64 libxxhash-dev:arm64 libzstd-dev:arm64 libhwy-dev:arm64
libpcre2-dev:arm64 libutf8proc-dev:arm64 libyaml-cpp-dev:arm64 libcpp-httplib-dev:arm64 libgtest-dev:arm64 libgmock-dev:arm64"

wanted=""
for set in "$@"; do
  case $set in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    long) wanted="$wanted $long" ;;
    peers) wanted="$wanted $peers" ;;
    aarch64) wanted="$wanted $aarch64" ;;
    *) echo "packages.sh: no set of packages is called $set" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
  echo "packages.sh: this is no Debian; install the counterparts of:" $wanted >&2
  exit 0
fi
installed=$(dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p')
missing=""
for package in $wanted; do
  echo "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "packages.sh: installing$missing" >&2
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null 2>&1 || { echo "packages.sh: be root or install sudo first" >&2; exit 4; }
  as_root=sudo
fi
case $missing in *:arm64*) $as_root dpkg --add-architecture arm64 ;; esac
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing >&2
