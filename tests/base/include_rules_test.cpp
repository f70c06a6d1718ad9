// Reads every #include line of the tree against the table of who may include whom.
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "tests/support/catch.h"

namespace gf {
namespace {

// Folder -> what its files may include (README.md, layout).
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"kernels/base", {"kernels/base"}},
    {"kernels", {"kernels", "kernels/base"}},
    {"bundles", {"bundles", "kernels/base"}},
    {"policy", {"policy", "bundles", "kernels/base"}},
    {"engine", {"engine", "kernels", "kernels/base"}},
    {"runner", {"runner", "engine", "bundles", "policy", "kernels", "kernels/base"}},
};

std::string folder_of(const std::string& path) {
  if (path.starts_with("kernels/base/")) return "kernels/base";
  return path.substr(0, path.find('/'));
}

bool is_cuda_place(const std::string& path) {
  return path.starts_with("kernels/cuda/") || path == "engine/comm_nccl.cpp";
}

// "" if the line is allowed in that file.
std::string violation(const std::string& path, const std::string& line) {
  static const std::regex quoted("^\\s*#\\s*include\\s*\"([^\"]+)\"");
  static const std::regex cuda("^\\s*#\\s*include\\s*<(cuda|cublas|nccl)");
  std::smatch match;
  if (std::regex_search(line, cuda) && !is_cuda_place(path)) return path + ": CUDA header: " + line;
  if (!std::regex_search(line, match, quoted)) return "";
  const auto allowed = kMayInclude.find(folder_of(path));
  if (allowed == kMayInclude.end()) return "";
  const std::string included = folder_of(match[1].str());
  return allowed->second.contains(included) ? "" : path + ": may not include " + match[1].str();
}

}  // namespace

TEST_CASE("every_include_follows_the_layout", "[base]") {
  std::string found;
  int files = 0;
  for (const auto& [folder, allowed] : kMayInclude) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::filesystem::path(GF_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension().native();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
      ++files;
      const std::string path = std::filesystem::relative(entry.path(), GF_SOURCE_DIR).native();
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        const std::string problem = violation(path, line);
        if (!problem.empty()) found += problem + "\n";
      }
    }
  }
  CHECK(files > 10);
  INFO(found);
  CHECK(found.empty());
}

TEST_CASE("the_include_check_sees_each_kind_of_violation", "[base]") {
  CHECK_FALSE(violation("engine/a.h", "#include \"bundles/bundle.h\"").empty());
  CHECK_FALSE(violation("kernels/base/a.h", "#include \"kernels/ops.h\"").empty());
  CHECK_FALSE(violation("bundles/a.h", "#include \"kernels/ops.h\"").empty());
  CHECK_FALSE(violation("runner/a.cpp", "#include <cuda_runtime.h>").empty());
  CHECK(violation("runner/a.cpp", "#include \"engine/engine.h\"").empty());
}

}  // namespace gf
