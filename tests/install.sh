#!/usr/bin/env bash
# install.sh: installs what is missing to build gf-run, to test it and to run its demo, and does
# nothing else. Where nothing is missing it needs neither root nor a network.
#
#   tests/install.sh           install what is missing
#   tests/install.sh --list    print what is missing, one package a line, and change nothing
#
# Debian and its relatives: apt. RHEL 9 and its relatives: dnf, with EPEL and CodeReady Builder.
set -euo pipefail
export LC_ALL=C

fail() { echo "install.sh: $*" >&2; exit 1; }

# Debian's name | RHEL 9's name (- where RHEL needs none)   # what it is for
packages='
g++                 | gcc-c++                # the compiler
cmake               | cmake                  # the build
ninja-build         | ninja-build
pkg-config          | pkgconf-pkg-config
libtomlplusplus-dev | tomlplusplus-devel     # job.toml, trust.toml, policy.toml, manifests
nlohmann-json3-dev  | json-devel             # bundle manifests, journal, report
libarchive-dev      | libarchive-devel       # the payload of a bundle
libssl-dev          | openssl-devel          # digests and signatures
libspdlog-dev       | spdlog-devel
libcli11-dev        | cli11-devel
libxml2-dev         | libxml2-devel          # SCAP content and results
libsqlite3-dev      | sqlite-devel
libseccomp-dev      | libseccomp-devel       # the sandbox
libcap-dev          | libcap-devel
libhwy-dev          | highway-devel          # SIMD
libopenscap-dev     | openscap-devel         # evaluation
catch2              | catch-devel            # tests
openscap-scanner    | openscap-scanner       # the oscap command, to compare with
ssg-nondebian       | scap-security-guide    # SCAP content for RHEL 9
openssl             | openssl                # stock tools that the tests check signatures with
rpm                 | rpm-build              # the rpm database of the test root
mmdebstrap          | mmdebstrap             # the test root
iproute2            | iproute
libxml2-utils       | libxml2                # the comparison with oscap
jq                  | jq
'

apt_missing() {
  local name
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2> /dev/null)" = installed ] || echo "$name"
  done
}
dnf_missing() {
  local name
  for name in "$@"; do rpm -q --whatprovides "$name" > /dev/null 2>&1 || echo "$name"; done
}
column() { sed -e 's/#.*//' -e '/^ *$/d' <<< "$packages" | cut -d'|' -f"$1" | tr -d ' ' | grep -v '^-$'; }
as_root() { [ "$(id -u)" = 0 ] || fail "missing: $missing. Run as root: $*"; }

if command -v apt-get > /dev/null; then
  mapfile -t names < <(column 1)
  missing=$(apt_missing "${names[@]}" | xargs)
  install="apt-get install --no-install-recommends $missing"
elif command -v dnf > /dev/null; then
  mapfile -t names < <(column 2)
  missing=$(dnf_missing "${names[@]}" | xargs)
  install="dnf install --enablerepo=crb $missing"
else
  fail "neither apt-get nor dnf is here; these packages (Debian's names) are needed: $(column 1 | xargs)"
fi

if [ "${1:-}" = --list ]; then
  [ -z "$missing" ] || tr ' ' '\n' <<< "$missing"
  exit 0
fi
[ $# = 0 ] || fail "unknown argument $1; expected none, or --list"

if [ -n "$missing" ]; then
  as_root "$install"
  echo "install.sh: missing: $missing"
  # shellcheck disable=SC2086
  if command -v apt-get > /dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    echo "install.sh: apt-get update, then $install"
    apt-get update -qq || echo "install.sh: apt-get update failed; trying with the lists that are there" >&2
    apt-get install -qq -y --no-install-recommends $missing
  else
    # EPEL has the libraries that RHEL does not; it is a repository, so adding it is said aloud.
    rpm -q epel-release > /dev/null 2>&1 || { echo "install.sh: dnf install epel-release"; dnf install -q -y epel-release; }
    echo "install.sh: $install"
    dnf install -q -y --enablerepo=crb $missing || dnf install -q -y --enablerepo='codeready-builder-*' $missing
  fi
fi

# The test root's own packages, fetched once, so that the demo needs no network afterwards.
# Without root there is nothing to make a test root with, and nothing to fetch for.
if [ "$(id -u)" = 0 ] && command -v mmdebstrap > /dev/null; then
  "$(dirname "$0")/lab/make-el9-root.sh" --fetch > /dev/null ||
    echo "install.sh: the test root's packages could not be fetched; tests and demos that make one will say so" >&2
fi
