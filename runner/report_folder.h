// A report on disk: OUTPUT/RUN-ID/ with report.json, report.html, xccdf-results.xml, journal.jsonl,
// manifest.json (canonical JSON: every file's name, size and SHA-384) and manifest.json.p7s, a
// detached CMS signature (DER) over manifest.json.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

struct ReportRequest {
  std::filesystem::path output_folder;       // made if it is missing
  std::filesystem::path journal;             // whole lines are copied; a torn last line is left out
  std::span<const std::byte> xccdf_results;  // the last scan's TestResult; may be empty if there was none
};

// Signs the bytes of manifest.json: detached CMS, DER. See sign_in_child() in runner/signer.h.
using SignManifest = std::function<std::vector<std::byte>(std::string_view manifest)>;

// Builds everything in OUTPUT/.tmp-RUN-ID, makes it durable, renames it to OUTPUT/RUN-ID (Code::io
// if that exists: no report is ever overwritten) and lets OUTPUT/latest point to it. Returns the
// report's folder. On any error nothing is left but the staging folder's removal.
std::filesystem::path write_report(const ReportRequest& request, const SignManifest& sign);

}  // namespace gf
