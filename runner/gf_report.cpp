// gf-report: verify and show the signed reports that gf-run writes.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bundles/trust.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/text.h"
#include "runner/journal.h"
#include "runner/record.h"
#include "runner/report.h"
#include "runner/report_manifest.h"
#include "runner/report_show.h"
#include "runner/report_verify.h"

namespace gf {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path folder;
  fs::path trust;
  bool json = false;
};

int verify(const Options& options) {
  const Trust trust = Trust::read(options.trust);
  const ReportVerdict verdict = verify_report(options.folder, trust, system_time());
  if (options.json) {
    std::cout << verdict_json(verdict).dump(2) << "\n";
  } else {
    for (const std::string& note : verdict.notes) std::cout << "note: " << printable(note) << "\n";
    for (const ReportProblem& problem : verdict.problems)
      std::cout << printable(problem.file) << ": " << printable(problem.text) << "\n";
    if (verdict.holds())
      std::cout << "the report of run " << printable(verdict.run_id) << " is as it was signed\n  signer   "
                << verdict.signer << "\n  key      " << verdict.signer_key << "\n  journal  " << verdict.journal_head
                << "\n";
    else
      std::cout << "this report must not be relied on\n";
  }
  return verdict.holds() ? 0 : static_cast<int>(verdict.problems.front().code);
}

// From the journal, not from report.json: the chain at least is checked.
int show(const Options& options) {
  const auto report = build_report(read_journal(options.folder / kJournalFile));
  if (options.json) {
    std::cout << report_text(report);
    return 0;
  }
  std::cout << "signature not checked: gf-report verify does that\n\n" << show_report(report);
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app("Verify and show the signed reports of gf-run.");
  app.set_version_flag("--version", GF_VERSION);
  app.require_subcommand(1);
  Options options;
  CLI::App* verify_command = app.add_subcommand(
      "verify", "check signature, digests, journal, and that page and data say what the journal says");
  verify_command->add_option("folder", options.folder, "the report's folder")->required();
  verify_command->add_option("--trust", options.trust, "trust.toml: whose signatures count")->required();
  verify_command->add_flag("--json", options.json, "the verdict as JSON");
  CLI::App* show_command = app.add_subcommand("show", "a summary for the terminal");
  show_command->add_option("folder", options.folder, "the report's folder")->required();
  show_command->add_flag("--json", options.json, "the report, made anew from the journal");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Code::usage);
  }
  return verify_command->parsed() ? verify(options) : show(options);
}

}  // namespace
}  // namespace gf

int main(int argc, char** argv) {
  try {
    return gf::run(argc, argv);
  } catch (const gf::Error& error) {
    std::cerr << "gf-report: " << gf::printable(error.what(), gf::Lines::keep) << "\n";
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "gf-report: " << gf::printable(error.what()) << "\n";
    return static_cast<int>(gf::Code::internal);
  }
}
