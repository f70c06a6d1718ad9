#include "tests/tools/recipe.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/model_weights.h"
#include "kernels/base/error.h"
#include "kernels/bf16.h"

namespace gf::test {
namespace {

uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30U) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27U) * 0x94D049BB133111EBU;
  return z ^ z >> 31U;
}

uint64_t fnv1a64(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3U;
  return hash;
}

// Not inlined into a fused multiply-add: the product is rounded before the sum.
float product(float a, float b) {
  volatile float rounded = a * b;
  return rounded;
}

class RecipeSource : public WeightsSource {
 public:
  RecipeSource(RecipeTensors tensors, uint64_t seed, std::string config_json)
      : tensors_(std::move(tensors)), seed_(seed), config_json_(std::move(config_json)) {}

  [[nodiscard]] std::optional<TensorInfo> find(std::string_view name) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return std::nullopt;
    return TensorInfo{.dtype = DType::bf16, .shape = found->second.shape};
  }

  // Two threads: the real widths have a thousand million numbers.
  void read(std::string_view name, RowRange rows, std::span<std::byte> out) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw Error(Code::input, "tensor ", name, " is not in the recipe");
    const auto row_numbers = static_cast<uint64_t>(find(name)->numbers_per_row());
    const uint64_t first = row_numbers * static_cast<uint64_t>(rows.first);
    const size_t half = out.size() / 4 * 2;
    std::thread other([&] { generate_numbers(name, seed_, found->second, first, out.first(half)); });
    generate_numbers(name, seed_, found->second, first + half / 2, out.subspan(half));
    other.join();
  }

  [[nodiscard]] std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, tensor] : tensors_) all.push_back(name);
    return all;
  }

  [[nodiscard]] std::optional<std::string> text(std::string_view file_name) const override {
    return file_name == "config.json" ? std::optional(config_json_) : std::nullopt;
  }

 private:
  RecipeTensors tensors_;
  uint64_t seed_;
  std::string config_json_;
};

}  // namespace

void generate_numbers(std::string_view name, uint64_t seed, const RecipeTensor& tensor, uint64_t first,
                      std::span<std::byte> out) {
  const uint64_t key = mix(fnv1a64(name) ^ seed);
  for (size_t i = 0; i < out.size() / 2; ++i) {
    const uint64_t hash = mix(key + (first + i + 1) * 0x9E3779B97F4A7C15U);
    const auto centred = static_cast<int64_t>(hash >> 40U) - (int64_t{1} << 23U);
    const float u = static_cast<float>(centred) / 8388608.0F;
    const uint16_t bits = bf16_of_float(tensor.base + product(tensor.spread, u));
    std::memcpy(out.data() + 2 * i, &bits, 2);
  }
}

RecipeTensors recipe_of_golden(const nlohmann::json& golden) {
  RecipeTensors tensors;
  for (const auto& [name, value] : golden.at("tensors").items())
    tensors[name] = {.shape = value.at("shape").get<std::vector<int64_t>>(),
                     .base = static_cast<float>(value.at("base").get<double>()),
                     .spread = static_cast<float>(value.at("spread").get<double>())};
  return tensors;
}

RecipeTensors default_recipe(const ModelConfig& config) {
  RecipeTensors tensors;
  for (const NamedShape& tensor : checkpoint_tensors(config)) {
    RecipeTensor recipe{.shape = tensor.shape, .base = 1.0F, .spread = 0.1F};
    if (tensor.name.ends_with("layer_scalar")) {
      recipe.spread = 0.0F;
    } else if (tensor.shape.size() > 1) {
      recipe.base = 0.0F;
      recipe.spread = static_cast<float>(std::sqrt(3.0 / static_cast<double>(tensor.shape.back())));
    }
    tensors[tensor.name] = recipe;
  }
  return tensors;
}

std::unique_ptr<WeightsSource> recipe_source(RecipeTensors tensors, uint64_t seed, std::string config_json) {
  return std::make_unique<RecipeSource>(std::move(tensors), seed, std::move(config_json));
}

}  // namespace gf::test
