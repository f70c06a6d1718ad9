// SmallJob.
#include "tests/runner_job/small_job.h"

#include <fstream>

#include "kernels/base/atomic_file.h"
#include "kernels/base/strict_json.h"
#include "tests/support/small_root.h"

namespace gf::test {
namespace {

constexpr const char* kManifest = R"(version = 1
content = "nine-rules-ds.xml"
profile = "xccdf_org.example_profile_all"
rules = ["*"]
)";

constexpr const char* kPolicy = R"(version = 1
modes = ["scan", "trial", "apply"]
origins = ["vetted", "model"]
)";

std::string program(const std::string& name) { return std::string(GF_BIN_DIR) + "/" + name; }

}  // namespace

SmallJob::SmallJob(const std::string& manifest_tail) {
  must_run({program("gf-bundle"), "dev-pki", path("pki").native()});
  std::filesystem::create_directory(target());
  make_small_root(target());
  make_bundle(manifest_tail);
  write_atomically(path("policy.toml"), kPolicy);
  write_atomically(path("trust.toml"), "anchors = \"pki/anchors\"\nstate = \"trust-state\"\n");
  const std::string verified = must_run(
      {program("gf-bundle"), "--json", "verify", "--trust", path("trust.toml").native(), path("b.gfb").native()});
  const std::string digest = parse_json(verified, "gf-bundle verify").at("bundle").get<std::string>();
  write_atomically(path("job.toml"),
                   "mode = \"apply\"\nstate = \"state\"\noutput = \"reports\"\ntrust = \"trust.toml\"\n"
                   "policy = \"policy.toml\"\nreport_key = \"pki/report.key\"\n"
                   "report_certificate = \"pki/report.pem\"\nreport_chain = [\"pki/chain.pem\"]\n"
                   "[target]\nkind = \"root\"\npath = \"target\"\n[[bundle]]\npath = \"b.gfb\"\ndigest = \"" +
                       digest + "\"\n");
}

void SmallJob::make_bundle(const std::string& manifest_tail) const {
  std::filesystem::copy_file(data_path("job/nine-rules-ds.xml"), path("nine-rules-ds.xml"));
  write_atomically(path("job-manifest.toml"), kManifest + manifest_tail);
  write_atomically(path("m.toml"),
                   "stream = \"test\"\nversion = 1\nexpires = \"2099-01-01T00:00:00Z\"\n"
                   "[[file]]\nname = \"job-manifest.toml\"\npath = \"job-manifest.toml\"\nkind = \"job\"\n"
                   "[[file]]\nname = \"nine-rules-ds.xml\"\npath = \"nine-rules-ds.xml\"\nkind = \"scap\"\n");
  must_run({program("gf-bundle"), "create", "--manifest", path("m.toml").native(), "-o", path("b.gfb").native()});
  must_run({program("gf-bundle"), "sign", "--key", path("pki/signer1.key").native(), "--cert",
            path("pki/signer1.pem").native(), "--chain", path("pki/chain.pem").native(), path("b.gfb").native()});
}

Finished SmallJob::gf_run(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), program("gf-run"));
  arguments.push_back(path("job.toml").native());
  return run(arguments);
}

nlohmann::json SmallJob::report() const {
  return parse_json(read_text_file(path("reports/latest/report.json"), uint64_t{64} << 20), "report.json");
}

std::string SmallJob::file_of_target(const std::string& name) const {
  return read_text_file(target() / name, uint64_t{1} << 20);
}

void SmallJob::edit_job(const std::string& from, const std::string& to) const {
  std::string text = read_text_file(path("job.toml"), uint64_t{1} << 20);
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  write_atomically(path("job.toml"), text.replace(at, from.size(), to));
}

nlohmann::json rule_of(const nlohmann::json& report, const std::string& short_name) {
  for (const nlohmann::json& rule : report.at("rules"))
    if (rule.at("id") == kRulePrefix + short_name) return rule;
  FAIL("the report has no rule " << short_name);
  return {};
}

}  // namespace gf::test
