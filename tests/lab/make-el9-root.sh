#!/usr/bin/env bash
# make-el9-root.sh DIR: a directory tree that SCAP content for RHEL 9 accepts as RHEL 9, made on a
# machine without RHEL: a small Debian system, and an rpm database with the names that the content's
# platform checks ask for. Nothing in it comes from this machine but the packages' own files.
#
#   make-el9-root.sh DIR       make the tree; DIR must be missing or empty
#   make-el9-root.sh --fetch   only fill the cache, so that later calls need no network
#
# The base system is kept as one tar in GF_LAB_CACHE (default /var/cache/gf-run-lab), named after a
# digest of what it is made of, and used again from there. Needs root, mmdebstrap and rpm.
set -euo pipefail
export LC_ALL=C
umask 022

# What a server has that the content looks at, and what the fixes' scripts call.
packages=(openssh-server sudo auditd libpam-pwquality systemd systemd-sysv cron rsyslog rpm
  libpam-modules login passwd procps kmod iproute2 logrotate)

here=$(cd "$(dirname "$0")" && pwd)
cache=${GF_LAB_CACHE:-/var/cache/gf-run-lab}
fail() { echo "make-el9-root.sh: $*" >&2; exit 1; }

[ $# = 1 ] || fail "expected one argument: DIR, or --fetch"
[ "$(id -u)" = 0 ] || fail "must run as root: it makes files that root owns (try: sudo $0 $1)"
for program in mmdebstrap rpm rpmbuild; do
  command -v "$program" > /dev/null || fail "$program is missing (run tests/install.sh)"
done

work=$(mktemp -d "${TMPDIR:-/var/tmp}/gf-lab.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The Debian release: this machine's own, else the stable one that this was written with.
debian_release() {
  # shellcheck disable=SC1091
  ( . /etc/os-release; [ "${ID:-}" = debian ] && [ -n "${VERSION_CODENAME:-}" ] && echo "$VERSION_CODENAME" ) || echo bookworm
}

# The files of this machine's apt sources that offer that release; none: mmdebstrap's default mirror.
apt_sources() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] && grep -Eq "^[^#]*[[:space:]]$1([[:space:]]|\$)" "$file" && echo "$file"
  done
  return 0
}

# Settings of apt that say how this machine reaches its packages (proxies, certificates, dates).
apt_settings() { apt-config dump 2> /dev/null | grep -E '^Acquire::(.*Proxy|.*Verify|.*CA|.*Ssl|Check-)' || true; }

# Takes out of a tree what tells of the machine or the mirror it came from.
forget_origin() {
  local root=$1
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/apt "$root"/etc/apt/sources.list.d/* \
    "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/apt/auth.conf.d/* "$root"/etc/ssh/ssh_host_* \
    "$root"/var/log/{dpkg.log,bootstrap.log,alternatives.log} "$root"/etc/resolv.conf "$root"/tmp/* "${root:?}"/dev/* \
    "$root"/var/lib/systemd/{random-seed,credential.secret} "$root"/var/lib/dbus/machine-id
  echo "# no package source: this is a test root" > "$root/etc/apt/sources.list"
  echo el9-lab > "$root/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 el9-lab\n' > "$root/etc/hosts"
  : > "$root/etc/machine-id"
}

# The base system as a tar in the cache; prints its path.
base_system() {
  local release digest tar
  release=$(debian_release)
  digest=$( (echo "$release ${packages[*]}"; declare -f forget_origin) | sha256sum | cut -c1-16)
  tar=$cache/el9-base-$release-$digest.tar
  if [ ! -f "$tar" ]; then
    mkdir -p "$cache"
    echo "fetching the base system ($release) with mmdebstrap" >&2
    apt_settings > "$work/apt.conf"
    local sources=()
    mapfile -t sources < <(apt_sources "$release")
    mmdebstrap --quiet --mode=root --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" --aptopt="$work/apt.conf" \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      --format=directory "$release" "$work/base" "${sources[@]}" >&2 ||
      fail "mmdebstrap could not make the base system, and $tar is not there: the packages must be fetched once" \
        "(run '$0 --fetch' with a network, or copy that file from a machine that has it)"
    forget_origin "$work/base"
    rm -f "$work/base/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
    tar --sort=name --numeric-owner --xattrs --xattrs-include='*' --acls -C "$work/base" -cf "$work/base.tar" .
    rm -rf "$work/base"
    mv "$work/base.tar" "$tar.new.$$"
    mv "$tar.new.$$" "$tar"
  fi
  echo "$tar"
}

install_names() {
  local root=$1
  rpmbuild -bb --quiet --define "_topdir $work/rpm" --define "_buildhost el9-lab" "$here/el9-stubs.spec" > "$work/rpm.log" 2>&1 ||
    { cat "$work/rpm.log" >&2; fail "rpmbuild refused $here/el9-stubs.spec"; }
  # Debian's rpm keeps its database in root's home; the content's checks, and RHEL's rpm, in /var/lib/rpm.
  mkdir -p "$root/var/lib/rpm" "$root/etc/rpm"
  echo '%_dbpath /var/lib/rpm' > "$root/etc/rpm/macros"
  rpm --root "$root" --dbpath /var/lib/rpm -i --nodeps --nosignature "$work"/rpm/RPMS/*/*.rpm 2> "$work/rpm.log" ||
    { cat "$work/rpm.log" >&2; fail "rpm could not install the names into $root"; }
}

# sshd refuses to check its configuration without host keys; every root gets its own. The tree holds
# no device nodes, so ssh-keygen sees this machine's /dev, in a mount namespace of its own.
make_host_keys() {
  local root=$1
  # shellcheck disable=SC2016
  unshare --mount --propagation private -- bash -euc '
    mount --bind /dev "$1/dev"
    for type in rsa ecdsa ed25519; do
      chroot "$1" ssh-keygen -q -N "" -C root@el9-lab -t "$type" -f "/etc/ssh/ssh_host_${type}_key"
    done' _ "$root"
}

tar=$(base_system)
if [ "$1" = --fetch ]; then
  echo "the base system is in $tar"
  exit 0
fi
root=$(readlink -m "$1")
if [ -e "$root" ] && [ -n "$(ls -A "$root")" ]; then fail "$root is not empty"; fi
mkdir -p "$root"
root_owner=$(stat -c %u "$root")
[ "$root_owner" = 0 ] || chown 0:0 "$root"
tar --numeric-owner --xattrs --xattrs-include='*' --acls -C "$root" -xpf "$tar"
install_names "$root"
make_host_keys "$root"
echo "made $root"
