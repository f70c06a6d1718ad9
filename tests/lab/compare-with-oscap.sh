#!/usr/bin/env bash
# compare-with-oscap.sh [--vendor [--original DIR]] WORK: holds the report of a finished demo against
# the distribution's own oscap command. WORK is the demo's work folder (runner/demo.sh --work).
#
# Every rules[].after of WORK/report/report.json must be what oscap says of WORK/target; prints the
# totals and each difference, and exits 1 on any. With --vendor also runs every vendor fix in one go on
# an overlay over the root as it was before (made anew, or --original DIR), prints both side by side,
# and exits 1 if gf-run left fewer rules passing, or a rule worse than it found it.
set -euo pipefail
export LC_ALL=C
fail() { echo "compare-with-oscap.sh: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
vendor=no
original=
while [ $# -gt 1 ]; do
  case $1 in
    --vendor) vendor=yes; shift ;;
    --original) [ $# -gt 2 ] || fail "--original needs a folder"; original=$2; shift 2 ;;
    *) fail "unknown argument $1" ;;
  esac
done
[ $# = 1 ] || fail "expected [--vendor [--original DIR]] WORK"
demo=$(readlink -e "$1") || fail "$1: no such folder"
report=$demo/report/report.json
[ -f "$report" ] || fail "$report is missing: run runner/demo.sh first"
[ -f "$demo/demo.env" ] || fail "$demo/demo.env is missing: it says which content and profile the demo used"
for program in jq xmllint; do command -v "$program" > /dev/null || fail "$program is missing (run tests/install.sh)"; done

# content, profile and target, one "name=value" a line, as runner/demo.sh wrote them.
setting() { sed -n "s/^$1=//p" "$demo/demo.env"; }
content=$(setting content)
profile=$(setting profile)
target=$(setting target)

work=$(mktemp -d "${TMPDIR:-/var/tmp}/gf-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT

# results_of RESULTS.xml: "rule<TAB>result" for every rule that the profile selects, sorted.
results_of() {
  local rule='//*[local-name()="TestResult"]/*[local-name()="rule-result"][*[local-name()="result"] != "notselected"]'
  paste <(xmllint --nonet --huge --xpath "$rule/@idref" "$1" | sed -E 's/^[[:space:]]*idref="(.*)"$/\1/') \
    <(xmllint --nonet --huge --xpath "$rule/*[local-name()='result']/text()" "$1") | sort
}
report_column() { jq -r --arg column "$1" '.rules[] | [.id, .[$column]] | @tsv' "$report" | sort; }
totals() { cut -f2 "$1" | sort | uniq -c | awk '{printf "%s%s %s", sep, $1, $2; sep = ", "} END {print ""}'; }
passing() { awk -F'\t' '$2 == "pass" || $2 == "fixed"' "$1" | wc -l; }
# lost BEFORE AFTER: rules that passed before and are anything else after.
lost() { join -t $'\t' "$1" "$2" | awk -F'\t' '$2 == "pass" && $3 != "pass" && $3 != "fixed" {print "  " $1 ": pass before, " $3 " after"}'; }

status=0
report_column before > "$work/before"
report_column after > "$work/after"
"$here/oscap-in-root.sh" "$target" "$content" "$profile" "$work/now.xml"
results_of "$work/now.xml" > "$work/now"
echo "report, before:  $(totals "$work/before")"
echo "report, after:   $(totals "$work/after")"
echo "oscap, now:      $(totals "$work/now")"
if diff "$work/after" "$work/now" > "$work/differences"; then
  echo "every one of $(wc -l < "$work/now") rules: the report says what oscap says"
else
  echo "differences (< the report, > oscap):"
  grep '^[<>]' "$work/differences"
  status=1
fi
lost "$work/before" "$work/after" > "$work/lost"
echo "rules that passed before and do not after: $(wc -l < "$work/lost")"
if [ -s "$work/lost" ]; then cat "$work/lost"; status=1; fi

if [ "$vendor" = yes ]; then
  if [ -z "$original" ]; then
    original=$work/original
    "$here/make-el9-root.sh" "$original" > /dev/null
  fi
  "$here/oscap-in-root.sh" "$original" "$content" "$profile" "$work/original.xml"
  "$here/oscap-in-root.sh" --vendor-fixes "$original" "$content" "$profile" "$work/vendor.xml"
  results_of "$work/original.xml" > "$work/original-results"
  results_of "$work/vendor.xml" > "$work/vendor"
  lost "$work/original-results" "$work/vendor" > "$work/vendor-lost"
  printf '\n%-28s %14s %14s\n' '' 'vendor fixes' 'gf-run'
  printf '%-28s %14s %14s\n' 'pass before' "$(passing "$work/original-results")" "$(passing "$work/before")"
  printf '%-28s %14s %14s\n' 'pass after' "$(passing "$work/vendor")" "$(passing "$work/after")"
  printf '%-28s %14s %14s\n' 'passed before, not after' "$(wc -l < "$work/vendor-lost")" "$(wc -l < "$work/lost")"
  cat "$work/vendor-lost"
  diff <(cut -f1 "$work/original-results") <(cut -f1 "$work/before") > /dev/null || { echo "the two runs did not judge the same rules"; status=1; }
  echo "passing after the vendor's fixes, and not after gf-run:"
  join -t $'\t' "$work/vendor" "$work/after" | awk -F'\t' '$2 == "pass" && $3 != "pass" {print "  " $1 ": " $3}'
  if [ "$(passing "$work/after")" -lt "$(passing "$work/vendor")" ]; then status=1; fi
fi
exit $status
