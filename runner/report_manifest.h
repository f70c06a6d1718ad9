// manifest.json of a report folder: what is signed. Canonical JSON, one line:
// {"files":[{"name":"journal.jsonl","sha384":"<hex>","size":1},...],"format":"gf-report","journal_head":"<hex>",
//  "run_id":"...","version":1} with the files sorted by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/digest.h"

namespace gf {

inline constexpr std::string_view kManifestFile = "manifest.json";
inline constexpr std::string_view kSignatureFile = "manifest.json.p7s";
inline constexpr std::string_view kReportFile = "report.json";
inline constexpr std::string_view kPageFile = "report.html";
inline constexpr std::string_view kResultsFile = "xccdf-results.xml";  // absent if there was no scan
inline constexpr std::string_view kJournalFile = "journal.jsonl";

struct ManifestFile {
  std::string name;
  Digest digest;
  uint64_t size = 0;
};

struct ReportManifest {
  std::string run_id;
  Digest journal_head;
  std::vector<ManifestFile> files;  // sorted by name

  [[nodiscard]] std::string text() const;
  // That form and no other, and only the names above. Throws Code::corrupt.
  static ReportManifest parse(std::string_view text);
};

}  // namespace gf
