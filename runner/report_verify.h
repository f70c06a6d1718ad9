// Checks a report folder: who signed it, that nothing in it was changed, added or taken away, and
// that the page and the data say what the journal says.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "kernels/base/digest.h"
#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {

struct Trust;  // bundles/trust.h

struct ReportProblem {
  std::string file;  // in the folder
  std::string text;
  Code code;
};

struct ReportVerdict {
  std::string run_id;
  std::string signer;                   // subject of the certificate
  std::string signer_key;               // SHA-384 of its public key, hex
  std::string journal_head;             // hex
  std::vector<ReportProblem> problems;  // empty: everything holds
  std::vector<std::string> notes;       // what was not compared, and why

  [[nodiscard]] bool holds() const { return problems.empty(); }
};

// Nothing in the folder is parsed before the signature over manifest.json holds. Throws only where
// the folder cannot be read at all; everything that is wrong inside is a problem.
ReportVerdict verify_report(const std::filesystem::path& folder, const Trust& trust, Time now);

nlohmann::json verdict_json(const ReportVerdict& verdict);

}  // namespace gf
