// gf-run: the command line. The launcher is started before anything else that could make a thread.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "runner/entries.h"
#include "runner/no_network.h"
#include "runner/run_job.h"

namespace gf {
namespace {

void start_log() {
  auto log = spdlog::stderr_color_mt("gf-run");
  // journald and cron have times of their own, but a terminal and a file have not.
  log->set_pattern("%Y-%m-%dT%H:%M:%S %^%l%$ %v");
  spdlog::set_default_logger(log);
}

struct Arguments {
  std::string job;
  std::string run_id;
  bool dry_run = false;
  bool fail_on_findings = false;
};

int dispatch(const CLI::App& app, const Arguments& arguments) {
  const std::unique_ptr<Launcher> launcher = Launcher::start(entry_points());
  deny_network();
  RunOptions options;
  options.findings = arguments.fail_on_findings ? AfterFindings::fail : AfterFindings::succeed;
  if (app.got_subcommand("recover")) return recover(arguments.job, *launcher);
  if (app.got_subcommand("roll-back")) return roll_back_run(arguments.job, arguments.run_id, *launcher);
  if (app.got_subcommand("scan")) options.mode = Mode::scan;
  if (arguments.dry_run) return show_plan(arguments.job, options, *launcher);
  return run_job(arguments.job, options, *launcher);
}

int run(int argc, char** argv) {
  CLI::App app{
      "Scans a target against signed SCAP content, tries fixes in isolated copies, commits what passed, and signs a "
      "report."};
  app.name("gf-run");
  app.set_version_flag("--version", std::string("gf-run ") + GF_VERSION);
  app.footer("Exit statuses and every key of job.toml: runner/JOB.md, installed as gf-run's manual.");
  Arguments arguments;
  app.add_option("job", arguments.job, "the job, a TOML file")->type_name("JOB.toml");
  app.add_flag("--dry-run", arguments.dry_run, "show what would be done, and do nothing");
  app.add_flag("--fail-on-findings", arguments.fail_on_findings, "end with status 2 if findings are left open");
  CLI::App* scan = app.add_subcommand("scan", "scan and report alone, whatever the job's mode");
  scan->add_option("job", arguments.job, "the job")->required()->type_name("JOB.toml");
  scan->add_flag("--fail-on-findings", arguments.fail_on_findings, "end with status 2 if findings are left open");
  scan->add_flag("--dry-run", arguments.dry_run, "show what would be done, and do nothing");
  CLI::App* recover = app.add_subcommand("recover", "bring an interrupted commit to exactly before or after");
  recover->add_option("job", arguments.job, "the job")->required()->type_name("JOB.toml");
  CLI::App* roll_back = app.add_subcommand("roll-back", "put back what a run changed, newest change first");
  roll_back->add_option("job", arguments.job, "the job")->required()->type_name("JOB.toml");
  roll_back->add_option("run", arguments.run_id, "the run's id, as its report names it")
      ->required()
      ->type_name("RUN-ID");
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : static_cast<int>(Code::usage);
  }
  if (arguments.job.empty()) {
    std::fputs("gf-run: expected a job file, found none; try gf-run --help\n", stderr);
    return static_cast<int>(Code::usage);
  }
  start_log();
  return dispatch(app, arguments);
}

}  // namespace
}  // namespace gf

int main(int argc, char** argv) {
  try {
    return gf::run(argc, argv);
  } catch (const gf::Error& error) {
    std::fprintf(stderr, "gf-run: %s\n", gf::printable(error.what(), gf::Lines::keep).c_str());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gf-run: internal error: %s\n", gf::printable(error.what()).c_str());
    return static_cast<int>(gf::Code::internal);
  }
}
