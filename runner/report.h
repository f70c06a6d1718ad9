// The report of a run, as data: a pure function of its journal. runner/report.schema.json has every
// key. Same entries, same bytes; nothing is read from the machine, the clock or a file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/text.h"

namespace gf {

struct JournalEntry;  // runner/record.h

inline constexpr int kReportSchemaVersion = 1;

// Throws Code::corrupt where the stream of events cannot be true: it does not begin with
// run_started, an attempt without its intent, a rule that the benchmark does not select, a commit
// without its intent, a complete apply run without a scan of the finished target ...
//
// The report never claims more than its last scan: a rule whose outcome is "fixed" and that the
// scan "after" says is anything but pass is reported as "not_fixed".
nlohmann::json build_report(const std::vector<JournalEntry>& entries);

// report.json: indented by one space, keys in order, a newline at the end.
std::string report_text(const nlohmann::json& report);

// A waiver counts while two people stand behind it and its date lies ahead. Why it does not count at
// that time, or "" if it does: a finding whose waiver does not count is a finding again. `expires`
// ("2027-01-31", or a full time) is the first second at which it no longer counts.
std::string waiver_problem(std::string_view author, std::string_view approver, std::string_view expires, Time now);

}  // namespace gf
