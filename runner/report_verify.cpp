// Signature first, then the list, then every file against the list, then the journal against itself,
// and the page and the data against the journal.
#include "runner/report_verify.h"

#include <fcntl.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "bundles/cms.h"
#include "kernels/base/fd.h"
#include "runner/journal.h"
#include "runner/record.h"
#include "runner/report.h"
#include "runner/report_html.h"
#include "runner/report_manifest.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxManifestBytes = uint64_t{64} << 10;
constexpr uint64_t kMaxSignatureBytes = uint64_t{64} << 10;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

class Verification {
 public:
  Verification(const std::filesystem::path& folder, const Trust& trust, Time now)
      : path_(folder), folder_(open_directory(folder)), trust_(trust), now_(now) {}

  ReportVerdict run() {
    if (!check_signature()) return std::move(verdict_);
    check_names();
    for (const ManifestFile& file : manifest_.files) check_file(file);
    if (verdict_.problems.empty()) check_contents();
    return std::move(verdict_);
  }

 private:
  template <typename F>
  bool check(std::string_view file, F&& f) {
    try {
      std::forward<F>(f)();
      return true;
    } catch (const Error& error) {
      problem(file, error.code(), error.message());
      return false;
    }
  }
  void problem(std::string_view file, Code code, std::string text) {
    verdict_.problems.push_back({std::string(file), std::move(text), code});
  }
  std::vector<std::byte> read(std::string_view name, uint64_t limit) {
    const Fd file = try_open_in_root(folder_, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, false);
    if (!file) {
      if (errno == ENOENT) throw Error(Code::corrupt, "the file is missing");
      if (errno == ELOOP) throw Error(Code::corrupt, "is a link, not a file");
      throw system_error(errno, "cannot open it");
    }
    return read_file(file, limit, name);
  }

  bool check_signature();
  void check_names();
  void check_file(const ManifestFile& file);
  void check_contents();
  void compare(std::string_view file, const std::string& expected);

  std::filesystem::path path_;
  Fd folder_;
  const Trust& trust_;
  Time now_;
  ReportManifest manifest_;
  std::map<std::string, std::vector<std::byte>, std::less<>> files_;
  ReportVerdict verdict_;
};

bool Verification::check_signature() {
  std::vector<std::byte> manifest;
  std::vector<std::byte> signature;
  const bool here = check(kManifestFile, [&] { manifest = read(kManifestFile, kMaxManifestBytes); });
  if (!check(kSignatureFile, [&] { signature = read(kSignatureFile, kMaxSignatureBytes); }) || !here) return false;
  const bool signed_by_us = check(kSignatureFile, [&] {
    try {
      const SignerIdentity signer = verify_report_signature(signature, manifest, trust_, now_);
      verdict_.signer = signer.subject;
      verdict_.signer_key = signer.key.hex();
    } catch (const Error& error) {
      throw Error(error.code(), "manifest.json and its signature do not stand: ", error.message());
    }
  });
  if (!signed_by_us) return false;
  return check(kManifestFile, [&] {
    manifest_ = ReportManifest::parse(as_text(manifest));
    verdict_.run_id = manifest_.run_id;
    verdict_.journal_head = manifest_.journal_head.hex();
  });
}

void Verification::check_names() {
  std::set<std::string> listed = {std::string(kManifestFile), std::string(kSignatureFile)};
  for (const ManifestFile& file : manifest_.files) listed.insert(file.name);
  std::set<std::string> extra;
  for (const auto& entry : std::filesystem::directory_iterator(path_))
    if (!listed.contains(entry.path().filename().string())) extra.insert(entry.path().filename().string());
  for (const std::string& name : extra) problem(name, Code::corrupt, "is not part of the signed report");
}

void Verification::check_file(const ManifestFile& file) {
  check(file.name, [&] {
    std::vector<std::byte> bytes = read(file.name, kMaxFileBytes);
    if (bytes.size() != file.size) throw Error(Code::corrupt, "expected ", file.size, " bytes, found ", bytes.size());
    if (sha384(bytes) != file.digest) throw Error(Code::corrupt, "its bytes differ from what was signed (SHA-384)");
    files_[file.name] = std::move(bytes);
  });
}

void Verification::compare(std::string_view file, const std::string& expected) {
  if (as_text(files_.find(file)->second) != expected)
    problem(file, Code::corrupt, "does not say what the journal says: it is not what this version makes of it");
}

void Verification::check_contents() {
  std::vector<JournalEntry> entries;
  json report;
  const bool readable = check(kJournalFile, [&] {
    entries = parse_journal(as_text(files_.find(kJournalFile)->second), "journal.jsonl");
    if (entries.back().digest != manifest_.journal_head)
      throw Error(Code::corrupt, "its last entry is not the one that the manifest names: lines are missing at its end");
    report = build_report(entries);
    if (report.at("run").at("id") != manifest_.run_id)
      throw Error(Code::corrupt, "is of another run than the manifest says");
  });
  if (!readable) return;
  const json& scans = report.at("times").at("scans");
  if (!scans.empty() && !scans.back().at("xccdf_digest").is_null()) {
    const auto results = files_.find(kResultsFile);
    if (results == files_.end() || sha384(results->second).hex() != scans.back().at("xccdf_digest"))
      problem(kResultsFile, Code::corrupt, "is not the result of the last scan that the journal records");
  }
  if (report.at("run").at("version") != GF_VERSION) {
    verdict_.notes.push_back("report.json and report.html were made by version " +
                             report.at("run").at("version").get<std::string>() +
                             " and this is version " GF_VERSION
                             ": their signature and digests hold, but they were not made anew to compare");
    return;
  }
  compare(kReportFile, report_text(report));
  compare(kPageFile, render_html(report));
}

}  // namespace

ReportVerdict verify_report(const std::filesystem::path& folder, const Trust& trust, Time now) {
  return Verification(folder, trust, now).run();
}

json verdict_json(const ReportVerdict& verdict) {
  json problems = json::array();
  for (const ReportProblem& problem : verdict.problems)
    problems.push_back({{"file", to_valid_utf8(problem.file)},
                        {"problem", to_valid_utf8(problem.text)},
                        {"code", code_name(problem.code)}});
  return {{"holds", verdict.holds()},
          {"run_id", verdict.run_id},
          {"signer", verdict.signer},
          {"signer_key", verdict.signer_key},
          {"journal_head", verdict.journal_head},
          {"problems", problems},
          {"notes", verdict.notes}};
}

}  // namespace gf
