// What this host has accepted before: highest version per stream, the newest time seen, the newest
// revocation lists, and an audit log. FORMAT.md, "The state folder".
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundles/cms.h"
#include "bundles/manifest.h"
#include "bundles/trust.h"

namespace gf {

struct AcceptedVersion {
  uint64_t version = 0;
  Digest bundle;  // of the manifest that had it
};

struct AcceptanceState {
  std::optional<Time> time_floor;
  std::map<std::string, AcceptedVersion> streams;
  std::vector<CrlNumber> crl_numbers;  // one per issuer, sorted by issuer
};

// An absent folder or file is an empty state. Throws Code::corrupt if the file is damaged.
AcceptanceState read_state(const std::filesystem::path& folder);

// Code::stale if the clock reads a time before this format existed, or is behind the time floor by
// more than a day.
void check_clock(const AcceptanceState& state, Time now);
// What certificates are checked against: max(now, time floor).
Time checking_time(const AcceptanceState& state, Time now);
// Step 6, expiry and version. Throws Code::stale.
void check_freshness(const AcceptanceState& state, const Manifest& manifest, const Digest& bundle, const Trust& trust,
                     Time now);

// Under the folder's lock: checks freshness again, appends `audit_line` to audit.log and replaces
// state.json, all durable.
void record_acceptance(const Manifest& manifest, const Digest& bundle, const std::vector<CrlNumber>& crl_numbers,
                       const Trust& trust, Time now, std::string_view audit_line);

}  // namespace gf
