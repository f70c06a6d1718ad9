// Writes a seeded checkpoint in the layout of published ones: config.json, generation_config.json, sharded
// safetensors with their index, tokenizer.json with a token for every row of the embedding.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/tools/recipe.h"

namespace gf::test {

struct CheckpointJob {
  std::string config_json;
  RecipeTensors tensors;
  uint64_t seed = 0;
  uint64_t shard_bytes = uint64_t{4} << 30;  // a file of one tensor may be larger
  std::string tokenizer_json;                // empty: none is written
};

// Creates `folder`, which must not exist. Throws Code::input, Code::io, Code::no_space.
void write_checkpoint(const std::filesystem::path& folder, const CheckpointJob& job);

}  // namespace gf::test
