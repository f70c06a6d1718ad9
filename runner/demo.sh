#!/usr/bin/env bash
# demo.sh: the whole of gf-run once, on a root shaped like RHEL 9, with nothing prepared.
#
#   sudo runner/demo.sh [--work DIR] [--content DATASTREAM.xml] [--profile ID] [--target DIR]
#
#   --work DIR       where everything goes; build/demo if left out. Run again on the same folder: keys,
#                    bundle and root are used again, and the new report stands beside the older ones
#   --content FILE   another SCAP data stream than the distribution's for RHEL 9
#   --profile ID     another profile than the STIG's
#   --target DIR     an existing root. It is changed in place; without it a root is made
#
# Leaves in DIR: job.toml, trust.toml, policy.toml, bundles/demo.gfb, target/, and report/ with
# report.html. The keys in pki/ are for this demo and for nothing else.
set -euo pipefail
export LC_ALL=C
umask 022

repository=$(cd "$(dirname "$0")/.." && pwd)
bin=$repository/build/release/bin
work=$repository/build/demo
content=
profile=xccdf_org.ssgproject.content_profile_stig
target=

fail() { echo "demo.sh: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }
usage() { sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "$0"; }

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --work | --content | --profile | --target)
      [ $# -ge 2 ] || fail "$1 needs a value"
      [ -n "$2" ] || fail "$1: the value is empty"
      case $1 in
        --work) work=$(readlink -m "$2") ;;
        --content) content=$(readlink -e "$2") || fail "--content: $2: no such file" ;;
        --profile) profile=$2 ;;
        --target) [ -d "$2" ] || fail "--target: $2: no such folder"; target=$(readlink -e "$2") ;;
      esac
      shift 2 ;;
    *) fail "unknown argument $1 (see $0 --help)" ;;
  esac
done
[ "$(id -u)" = 0 ] || fail "must run as root, since it makes a root file system and changes it: sudo $0"
[ "$target" != / ] || fail "--target / is this machine itself; the demo changes roots made for it"
case $profile in *[!A-Za-z0-9._:-]*) fail "--profile: $profile is not a profile's id" ;; esac
# These end up inside quotation marks in TOML files.
for value in "$work" "$content" "$target"; do
  case $value in *['"\']* | *[[:cntrl:]]*) fail "quotation marks, backslashes and control characters are not supported in: $value" ;; esac
done

say "Packages"
"$repository/tests/install.sh"
echo "nothing is missing"
if [ -z "$content" ]; then
  content=/usr/share/xml/scap/ssg/content/ssg-rhel9-ds.xml
  [ -f "$content" ] || fail "$content is missing: it comes with ssg-nondebian (Debian) or scap-security-guide (RHEL)"
fi
content_name=$(basename "$content")
case $content_name in *[!A-Za-z0-9._-]*) fail "--content: a bundle cannot hold a file called $content_name; rename it" ;; esac

say "Build"
mkdir -p "$repository/build"
( cd "$repository"
  cmake --preset release > build/release-configure.log 2>&1 || { tail -n 30 build/release-configure.log >&2; exit 1; }
  cmake --build --preset release --target gf-run gf-bundle gf-report gf-make-checkpoint > build/release-build.log 2>&1 ||
    { grep -E -A8 'error|FAILED' build/release-build.log | head -n 40 >&2; exit 1; } ) || fail "the build failed"
echo "built gf-run, gf-bundle, gf-report in $bin"

mkdir -p "$work" "$work/bundles" "$work/make"
# Bundles and keys are trusted from here, so nobody else may write here.
chmod go-w "$work"

say "Development keys"
if [ ! -f "$work/pki/trust.toml" ]; then
  rm -rf "$work/pki"
  "$bin/gf-bundle" dev-pki "$work/pki"
else
  echo "using those of an earlier demo in $work/pki"
fi
sed -e 's#^anchors = .*#anchors = "pki/anchors"#' -e 's#^crls = .*#crls = "pki/crls"#' \
  -e 's#^state = .*#state = "trust-state"#' "$work/pki/trust.toml" > "$work/trust.toml"
cp "$repository/runner/demo/policy.toml" "$work/policy.toml"

say "Target"
if [ -n "$target" ]; then
  [ ! -L "$work/target" ] || rm "$work/target"
  if [ -e "$work/target" ]; then
    [ "$target" = "$(readlink -f "$work/target")" ] || fail "$work/target is the root of an earlier demo; choose another --work for --target $target"
  else
    ln -s "$target" "$work/target"
  fi
  echo "using $target; it will be changed"
else
  target=$work/target
  [ ! -L "$target" ] || fail "$target is a link to the --target of an earlier demo; give --target again, or choose another --work"
  if [ -d "$target" ]; then
    echo "using the one of an earlier demo in $target"
  else
    rm -rf "$target.new"
    "$repository/tests/lab/make-el9-root.sh" "$target.new"
    mv "$target.new" "$target"
  fi
fi
printf 'content=%s\nprofile=%s\ntarget=%s\n' "$content" "$profile" "$target" > "$work/demo.env"

say "Bundle"
make=$work/make
if [ ! -f "$make/model/config.json" ]; then
  rm -rf "$make/model" "$make/model.new"
  "$bin/gf-make-checkpoint" --config "$repository/runner/demo/model-config.json" --seed 1 \
    --tokenizer "$repository/tests/data/tokenizer/tokenizer.json" "$make/model.new"
  mv "$make/model.new" "$make/model"
fi
rm -rf "$make/prompts"
cp -r "$repository/runner/demo/prompts" "$make/prompts"
cp "$content" "$make/content.xml"
sed -e "s#@CONTENT@#$content_name#" -e "s#@PROFILE@#$profile#" "$repository/runner/demo/job-manifest.toml" > "$make/job-manifest.toml"
# The bundle is made anew only where its files changed: a version once accepted keeps its bytes.
( cd "$make" && find . -type f ! -name m.toml ! -name inputs.sha256 -print0 | sort -z | xargs -0 sha256sum ) > "$make/inputs.new"
sed -i '/inputs\.new$/d' "$make/inputs.new"
if [ -f "$work/bundles/demo.gfb" ] && [ -f "$make/inputs.sha256" ] && cmp -s "$make/inputs.new" "$make/inputs.sha256" &&
  "$bin/gf-bundle" verify --trust "$work/trust.toml" "$work/bundles/demo.gfb" > /dev/null 2>&1; then
  echo "using $work/bundles/demo.gfb of an earlier demo"
else
  cat > "$make/m.toml" << TOML
# What goes into the demo's bundle. bundles/FORMAT.md documents every key.
stream = "demo"
version = $(date +%s)
expires = "$(date -u -d '+90 days' +%Y-%m-%dT00:00:00Z)"

[[file]]
name = "job-manifest.toml"
path = "job-manifest.toml"
kind = "job"

[[file]]
name = "$content_name"
path = "content.xml"
kind = "scap"

[[folder]]
path = "prompts"
prefix = "prompts/"
kind = "prompt"

[[folder]]
path = "model"
prefix = "models/demo/"
TOML
  rm -f "$make/inputs.sha256" "$make/demo.gfb"
  "$bin/gf-bundle" create --manifest "$make/m.toml" -o "$make/demo.gfb"
  "$bin/gf-bundle" sign --key "$work/pki/signer1.key" --cert "$work/pki/signer1.pem" --chain "$work/pki/chain.pem" "$make/demo.gfb"
  mv "$make/demo.gfb" "$work/bundles/demo.gfb"
  mv "$make/inputs.new" "$make/inputs.sha256"
fi
rm -f "$make/inputs.new"
"$bin/gf-bundle" verify --trust "$work/trust.toml" "$work/bundles/demo.gfb"
digest=$("$bin/gf-bundle" --json verify --trust "$work/trust.toml" "$work/bundles/demo.gfb" | sed -n 's/^ *"bundle": "\([0-9a-f]\{96\}\)".*/\1/p')
[ -n "$digest" ] || fail "gf-bundle verify printed no digest of $work/bundles/demo.gfb"

case $target in "$work"/*) target_path=${target#"$work"/} ;; *) target_path=$target ;; esac
cat > "$work/job.toml" << TOML
# This host's side of the job. runner/JOB.md documents every key.
mode = "apply"
state = "state"
output = "reports"
trust = "trust.toml"
policy = "policy.toml"
report_key = "pki/report.key"
report_certificate = "pki/report.pem"
report_chain = ["pki/chain.pem"]
time_limit_minutes = 60
parallel_trials = 2

[target]
kind = "root"
path = "$target_path"

[[bundle]]
path = "bundles/demo.gfb"
digest = "$digest"

[device]
kind = "cpu"
threads = 0
TOML

say "gf-run job.toml"
status=0
started=$SECONDS
"$bin/gf-run" "$work/job.toml" || status=$?
echo "gf-run ended with status $status after $((SECONDS - started)) s (runner/JOB.md lists what each status means)"
[ "$status" = 0 ] || [ "$status" = 3 ] || fail "gf-run did not finish; nothing that it had not committed reached the target"
ln -sfn reports/latest "$work/report"

say "Report"
"$bin/gf-report" verify "$work/report/" --trust "$work/trust.toml"
"$bin/gf-report" show "$work/report/"
printf '\nThe page to read:    %s\n' "$(readlink -f "$work/report")/report.html"
printf 'To compare it with the oscap command:\n  %s --vendor %s\n' "$repository/tests/lab/compare-with-oscap.sh" "$work"
exit $status
