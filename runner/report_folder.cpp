// Staging, signing and putting a report in place.
#include "runner/report_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/text.h"
#include "runner/journal.h"
#include "runner/record.h"
#include "runner/report.h"
#include "runner/report_html.h"
#include "runner/report_manifest.h"

namespace gf {
namespace {

constexpr uint64_t kMaxJournalBytes = uint64_t{1} << 30;
constexpr mode_t kFolderMode = 0750;
constexpr mode_t kFileMode = 0640;

// The staging folder; what is left of it goes when writing fails.
class Staging {
 public:
  Staging(const std::filesystem::path& output, const std::string& run_id) : path_(output / (".tmp-" + run_id)) {
    std::filesystem::remove_all(path_);  // of a run that was killed while it wrote
    if (mkdir(path_.c_str(), 0700) != 0) throw system_error(errno, "cannot create " + path_.string());
    folder_ = open_directory(path_);
  }
  ~Staging() {
    std::error_code ignored;
    if (!placed_) std::filesystem::remove_all(path_, ignored);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  void write(std::string_view name, std::span<const std::byte> bytes) {
    write_atomically(folder_, name, bytes, kFileMode, Existing::refuse);
  }
  void add(ReportManifest& manifest, std::string_view name, std::span<const std::byte> bytes) {
    write(name, bytes);
    manifest.files.push_back({std::string(name), sha384(bytes), bytes.size()});
  }
  // Never over anything that is there already, not even an empty folder.
  void place(const Fd& output, const std::string& run_id) {
    if (fchmod(folder_.get(), kFolderMode) != 0) throw system_error(errno, "cannot set the mode of " + path_.string());
    sync_file(folder_, path_.string());
    const std::string from = path_.filename().string();
    if (renameat2(output.get(), from.c_str(), output.get(), run_id.c_str(), RENAME_NOREPLACE) != 0)
      throw system_error(errno, "cannot put the report of run " + run_id + " in place");
    placed_ = true;
    sync_file(output, "the folder of reports");
  }

 private:
  std::filesystem::path path_;
  Fd folder_;
  bool placed_ = false;
};

void point_latest_to(const Fd& output, const std::string& run_id) {
  const std::string temporary = ".tmp-latest-" + run_id;
  unlinkat(output.get(), temporary.c_str(), 0);
  if (symlinkat(run_id.c_str(), output.get(), temporary.c_str()) != 0 ||
      renameat(output.get(), temporary.c_str(), output.get(), "latest") != 0) {
    const int reason = errno;
    unlinkat(output.get(), temporary.c_str(), 0);
    throw system_error(reason, "the report of run " + run_id + " is in place, but the link \"latest\" cannot be set");
  }
  sync_file(output, "the folder of reports");
}

}  // namespace

std::filesystem::path write_report(const ReportRequest& request, const SignManifest& sign) {
  const std::string journal = read_text_file(request.journal, kMaxJournalBytes);
  const RecoveredJournal recovered = recover_journal(journal, request.journal.string());
  const nlohmann::json report = build_report(recovered.entries);
  const std::string run_id = report.at("run").at("id").get<std::string>();
  make_folders(request.output_folder, kFolderMode);
  const Fd output = open_directory(request.output_folder);
  const std::filesystem::path folder = request.output_folder / run_id;
  if (std::filesystem::exists(std::filesystem::symlink_status(folder)))
    throw Error(Code::io, folder.string(), ": this run has a report already, and reports are never overwritten");

  Staging staging(request.output_folder, run_id);
  ReportManifest manifest;
  manifest.run_id = run_id;
  manifest.journal_head = recovered.entries.back().digest;
  staging.add(manifest, kJournalFile, as_bytes(std::string_view(journal).substr(0, recovered.complete_bytes)));
  staging.add(manifest, kPageFile, as_bytes(render_html(report)));
  staging.add(manifest, kReportFile, as_bytes(report_text(report)));
  if (!request.xccdf_results.empty()) staging.add(manifest, kResultsFile, request.xccdf_results);
  const std::string text = manifest.text();
  ReportManifest::parse(text);  // what we sign must be what we accept
  staging.write(kManifestFile, as_bytes(text));
  staging.write(kSignatureFile, sign(text));
  staging.place(output, run_id);
  point_latest_to(output, run_id);
  return folder;
}

}  // namespace gf
