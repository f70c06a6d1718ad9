// gf-make-checkpoint: a seeded checkpoint of any Gemma 4 shape, in the published layout. The text of such a
// model is nonsense; its numbers and sizes are real.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"
#include "tests/tools/checkpoint_writer.h"

namespace {

struct Options {
  std::string config, out, golden, tokenizer;
  uint64_t seed = 0;
  uint64_t shard_bytes = uint64_t{4} << 30;
};

void make(const Options& options) {
  gf::test::CheckpointJob job;
  job.config_json = gf::read_text_file(options.config, 16U << 20);
  job.seed = options.seed;
  job.shard_bytes = options.shard_bytes;
  if (!options.tokenizer.empty()) job.tokenizer_json = gf::read_text_file(options.tokenizer, 256U << 20);
  if (options.golden.empty()) {
    job.tensors = gf::test::default_recipe(gf::parse_model_config(job.config_json, options.config));
  } else {
    const auto golden = gf::parse_json(gf::read_text_file(options.golden, 64U << 20), options.golden);
    job.tensors = gf::test::recipe_of_golden(golden);
  }
  gf::test::write_checkpoint(options.out, job);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("writes a seeded checkpoint", "gf-make-checkpoint");
  Options options;
  app.add_option("--config", options.config, "config.json of the shape")->required();
  app.add_option("--seed", options.seed, "of the numbers")->required();
  app.add_option("--golden", options.golden, "golden.json whose base and spread each tensor gets");
  app.add_option("--shard-bytes", options.shard_bytes, "data of one file, at most");
  app.add_option("--tokenizer", options.tokenizer, "tokenizer.json, filled up with unused tokens to vocab_size");
  app.add_option("OUT", options.out, "new folder")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    make(options);
    return 0;
  } catch (const gf::Error& error) {
    std::cerr << "gf-make-checkpoint: " << error.what() << std::endl;
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "gf-make-checkpoint: " << error.what() << std::endl;
    return static_cast<int>(gf::Code::input);
  }
}
