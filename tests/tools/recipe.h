// Seeded weights: the same numbers for a tensor's name and a seed on every machine. With 64-bit arithmetic:
//   mix(z): z = (z ^ z>>30) * 0xBF58476D1CE4E5B9;  z = (z ^ z>>27) * 0x94D049BB133111EB;  z ^ z>>31
//   u_i   = (int64(mix(mix(fnv1a64(name) ^ seed) + (i+1) * 0x9E3779B97F4A7C15) >> 40) - 2^23) / 2^23
//   value = bf16(base + spread * u_i), float32, product and sum rounded one after the other
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/config.h"
#include "engine/weights.h"

namespace gf::test {

struct RecipeTensor {
  std::vector<int64_t> shape;
  float base = 0;
  float spread = 0;
};
using RecipeTensors = std::map<std::string, RecipeTensor, std::less<>>;

// bf16 bytes of numbers [first, first + out.size() / 2) of the tensor.
void generate_numbers(std::string_view name, uint64_t seed, const RecipeTensor& tensor, uint64_t first,
                      std::span<std::byte> out);

// The tensors of a golden.json.
RecipeTensors recipe_of_golden(const nlohmann::json& golden);

// For a model of any shape: norms 1 +- 0.1, layer_scalar 1, linears 0 +- sqrt(3 / inputs).
RecipeTensors default_recipe(const ModelConfig& config);

// Weights made when they are read. `config_json` is its only text file.
std::unique_ptr<WeightsSource> recipe_source(RecipeTensors tensors, uint64_t seed, std::string config_json);

}  // namespace gf::test
