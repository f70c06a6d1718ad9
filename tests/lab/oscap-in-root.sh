#!/usr/bin/env bash
# oscap-in-root.sh [--vendor-fixes] ROOT DATASTREAM PROFILE OUT.xml: what the distribution's own
# oscap command says of a directory tree, to hold gf-run's answers against. Writes the XCCDF results.
#
# oscap runs chrooted into an overlay over ROOT, so ROOT is only read, in its own mount, pid, ipc,
# uts and network namespaces. With --vendor-fixes the script that oscap generates of every failing
# rule's fix runs there first, in one go, and OUT.xml is the state after it.
set -euo pipefail
export LC_ALL=C
fail() { echo "oscap-in-root.sh: $*" >&2; exit 1; }

vendor_fixes=no
if [ "${1:-}" = --vendor-fixes ]; then vendor_fixes=yes; shift; fi
[ $# = 4 ] || fail "expected [--vendor-fixes] ROOT DATASTREAM PROFILE OUT.xml"
[ "$(id -u)" = 0 ] || fail "must run as root"
root=$(readlink -e "$1") || fail "$1: no such directory"
content=$(readlink -e "$2") || fail "$2: no such file"
profile=$3
out=$(readlink -m "$4")
oscap=$(command -v oscap) || fail "oscap is missing (run tests/install.sh)"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/gf-oscap.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The target has no oscap: carry the program, its libraries, name services and data into it.
mkdir -p "$work/kit/lib" "$work/out"
cp "$oscap" "$work/kit/oscap"
ldd "$oscap" | grep -o '/[^ ]*' | xargs -I{} cp -L {} "$work/kit/lib/"
libraries=$(dirname "$(ldd "$oscap" | grep -o '/[^ ]*/libc\.so\.[0-9]*')")
cp -L "$libraries"/libnss_{files,compat}* "$work/kit/lib/" 2> /dev/null || true
loader=$(ldd "$oscap" | grep -o '/[^ ]*/ld-[^ ]*' | tail -n 1)
cp -r /usr/share/openscap "$work/kit/share"
cp "$content" "$work/kit/content.xml"

cat > "$work/inside.sh" <<'INSIDE'
set -euo pipefail
root=$1 work=$2 profile=$3 loader=$4 vendor_fixes=$5
ip link set lo up   # without it the system_info probe aborts the session
mkdir "$work/fs"
mount -t tmpfs tmpfs "$work/fs"
mkdir "$work"/fs/{upper,index,root}
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/fs/upper,workdir=$work/fs/index" "$work/fs/root"
view=$work/fs/root
mkdir -p "$view"/{proc,sys,run,dev}
mount -t proc proc "$view/proc"
mount --bind "$view/proc/sys" "$view/proc/sys"
mount -o remount,bind,ro "$view/proc/sys"
mount -t sysfs -o ro sysfs "$view/sys"
mount --bind /dev "$view/dev"
mount -t tmpfs -o mode=755 tmpfs "$view/run"
mkdir -p "$view"/run/{kit,results,lock}
mount --bind "$work/kit" "$view/run/kit"
mount --bind "$work/out" "$view/run/results"
if [ ! -d "$view/usr/lib/rpm" ]; then
  mkdir -p "$view/usr/lib/rpm"
  mount --bind /usr/lib/rpm "$view/usr/lib/rpm"
fi
inside() {
  chroot "$view" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin OSCAP_SCHEMA_PATH=/run/kit/share/schemas \
    OSCAP_CPE_PATH=/run/kit/share/cpe "$@"
}
run_oscap() { inside "/run/kit/lib/$(basename "$loader")" --library-path /run/kit/lib /run/kit/oscap "$@"; }
evaluate() {   # exit status 2: evaluated, and some rule does not pass
  run_oscap xccdf eval --profile "$profile" --results /run/results/results.xml /run/kit/content.xml > "$work/out/log" 2>&1 || [ $? = 2 ]
}
evaluate
if [ "$vendor_fixes" = yes ]; then
  run_oscap xccdf generate fix --fix-type bash --result-id "" --output /run/results/fixes.sh /run/results/results.xml > "$work/out/log" 2>&1
  drop=-sys_module,-sys_boot,-sys_time,-sys_rawio,-audit_control,-net_admin,-sys_admin,-mknod
  # Its exit status says nothing: the last fix's own. What counts is the evaluation after it.
  inside timeout 300 setpriv --bounding-set "$drop" --no-new-privs bash /run/results/fixes.sh > "$work/out/fixes.log" 2>&1 < /dev/null || true
  evaluate
fi
INSIDE
unshare --mount --pid --fork --ipc --uts --net --propagation private -- \
  bash "$work/inside.sh" "$root" "$work" "$profile" "$loader" "$vendor_fixes" ||
  { tail -n 5 "$work/out/log" >&2 || true; fail "oscap could not evaluate $root"; }
[ -s "$work/out/results.xml" ] || fail "oscap wrote no results"
cp "$work/out/results.xml" "$out"
