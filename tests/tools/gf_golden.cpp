// gf-golden: is the engine equal to the golden numbers in these directories? Exit 0: all are; 1: one is not, or
// cannot be checked by this version.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"
#include "tests/tools/golden_model.h"
#include "tests/tools/golden_text.h"

namespace {

using gf::Code;
using gf::Error;
using Path = std::filesystem::path;

struct Options {
  std::string ops;
  int tensor_parallel = 1;
  int pipeline_parallel = 1;
  std::vector<std::string> folders;
};

enum class Kind { model, quantized, drafter, tokenizer, chat };

// By what is in the folder, never by its name.
Kind kind_of(const Path& folder) {
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name); };
  if (has("config.json") && has("golden.json")) {
    const auto config = gf::parse_json(gf::read_text_file(folder / "config.json", 1U << 20), "config.json");
    const auto golden = gf::parse_json(gf::read_text_file(folder / "golden.json", 16U << 20), "golden.json");
    if (golden.contains("target")) return Kind::drafter;
    return config.contains("quantization_config") ? Kind::quantized : Kind::model;
  }
  if (has("tokenizer.json") && has("cases.jsonl")) return Kind::tokenizer;
  if (has("cases.jsonl")) return Kind::chat;
  throw Error(Code::usage, "not a golden directory: it has neither config.json and golden.json nor cases.jsonl");
}

void check_model(const Path& folder, const Options& options) {
  if (options.tensor_parallel != 1 || options.pipeline_parallel != 1)
    throw Error(Code::unsupported, "--tp ", options.tensor_parallel, " --pp ", options.pipeline_parallel,
                ": this version runs on one rank only");
  if (options.ops.empty()) gf::test::check_weight_hashes(folder);
  const std::vector<std::string> all =
      options.ops.empty() ? std::vector<std::string>{"reference", "cpu"} : std::vector<std::string>{options.ops};
  for (const std::string& ops : all)
    gf::with_context("while checking with " + ops + " ops", [&] {
      for (const std::string& line : gf::test::check_model_golden(folder, ops))
        std::cout << folder.native() << ": " << ops << ": " << line << std::endl;
    });
}

void check(const Path& folder, const Options& options) {
  switch (kind_of(folder)) {
    case Kind::model: return check_model(folder, options);
    case Kind::quantized: throw Error(Code::unsupported, "4-bit checkpoints are not supported by this version");
    case Kind::drafter: throw Error(Code::unsupported, "drafters are not supported by this version");
    case Kind::tokenizer:
      if (gf::check_tokenizer_golden(folder) != 0) throw Error(Code::corrupt, "the tokenizer differs");
      return;
    case Kind::chat:
      if (gf::check_chat_golden(folder) != 0) throw Error(Code::corrupt, "the chat format differs");
      return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("compares the engine with golden numbers", "gf-golden");
  Options options;
  app.add_option("--ops", options.ops, "reference, cpu or cuda; without it reference and then cpu");
  app.add_option("--tp", options.tensor_parallel, "ranks that share each layer");
  app.add_option("--pp", options.pipeline_parallel, "stages of layers");
  app.add_option("DIR", options.folders, "golden directories")->required();
  CLI11_PARSE(app, argc, argv);
  int failed = 0;
  for (const std::string& folder : options.folders) {
    try {
      check(folder, options);
      std::cout << folder << ": equal" << std::endl;
    } catch (const std::exception& error) {
      std::cout << folder << ": NOT equal: " << error.what() << std::endl;
      ++failed;
    }
  }
  return failed == 0 ? 0 : 1;
}
