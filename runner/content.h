// What SCAP content says about a profile and its rules: texts, fixes with the profile's values filled
// in, and the files that the checks read. Read once, by the evaluator's server, from a sealed memfd.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gf {

struct RuleInfo {
  std::string id;  // the full XCCDF id
  std::string title;
  std::string severity;     // high, medium, low, unknown or info
  std::string description;  // plain text, as the three below
  std::string fix_text;
  std::string rationale;
  std::string check_text;
  std::vector<std::string> references;  // identifiers (CCE-..., CCI-...) and references (AC-2, ...), each once
  std::string stig_id;                  // RHEL-09-..., or empty
  std::string sv_id;                    // SV-..._rule, or empty
  struct Fix {
    std::string id;
    std::string system;  // urn:xccdf:fix:script:sh
    std::string script;  // variables replaced by the profile's values; what `oscap xccdf generate fix` prints
    std::string complexity;
    std::string disruption;
    std::string strategy;
    bool reboot = false;
  };
  std::optional<Fix> bash_fix;
  // Absolute files and folders that its checks read: literal paths, values of variables where they are
  // constant, and for a pattern the longest folder that it begins with. Sorted.
  std::vector<std::string> read_paths;
  // Its checks walk folders: slow on large roots.
  bool walks_file_system = false;
};

struct BenchmarkInfo {
  std::string benchmark_id;
  std::string profile_id;
  std::string profile_title;
  std::string content_title;
  std::string version;
  std::vector<RuleInfo> rules;  // every rule that the profile selects, in document order
};

// Between processes.
void to_json(nlohmann::json& value, const BenchmarkInfo& benchmark);
void from_json(const nlohmann::json& value, BenchmarkInfo& benchmark);

}  // namespace gf
