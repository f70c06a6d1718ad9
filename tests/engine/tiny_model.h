// A seeded model small enough to load in every test.
#pragma once

#include <memory>

#include "engine/safetensors.h"
#include "kernels/base/fd.h"
#include "tests/support/catch.h"
#include "tests/tools/recipe.h"

namespace gf::test {

struct TinyModel {
  ModelConfig config;
  std::unique_ptr<WeightsSource> source;
};

// The shape of a golden case with weights of the default recipe.
inline TinyModel tiny_model(const std::string& name = "dense") {
  const std::string json = read_text_file(data_path("goldens/" + name + "/config.json"), 1U << 20);
  ModelConfig config = parse_model_config(json);
  auto source = recipe_source(default_recipe(config), 42, json);
  return {std::move(config), std::move(source)};
}

}  // namespace gf::test
