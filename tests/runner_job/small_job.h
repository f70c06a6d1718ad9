// A whole job in a temporary folder: development keys, a signed bundle with nine rules, a small root as the
// target, trust, policy and job files. The programs under test are run as an administrator runs them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/process.h"

namespace gf::test {

class SmallJob {
 public:
  // `budget` and what follows is appended to the signed manifest.
  explicit SmallJob(const std::string& manifest_tail = "");

  Finished gf_run(std::vector<std::string> arguments = {}) const;  // the job file is the last argument
  [[nodiscard]] std::filesystem::path path(std::string_view name) const { return folder_ / name; }
  [[nodiscard]] std::filesystem::path target() const { return folder_ / "target"; }
  // Of the newest run.
  [[nodiscard]] nlohmann::json report() const;
  [[nodiscard]] std::string file_of_target(const std::string& name) const;
  // Replaces text in job.toml; fails the test if it is not there.
  void edit_job(const std::string& from, const std::string& to) const;

 private:
  void make_bundle(const std::string& manifest_tail) const;
  TemporaryFolder folder_;
};

inline constexpr const char* kRulePrefix = "xccdf_org.example_rule_";
// The entry of rules[] with that short name.
nlohmann::json rule_of(const nlohmann::json& report, const std::string& short_name);

}  // namespace gf::test
