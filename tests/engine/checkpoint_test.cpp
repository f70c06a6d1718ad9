// Checkpoints as they are written and loaded: what is there, what is missing, what is too much.
#include <nlohmann/json.hpp>

#include "engine/model_weights.h"
#include "tests/engine/tiny_model.h"
#include "tests/tools/checkpoint_writer.h"

namespace gf {
namespace {

std::string golden_text(const std::string& name) {
  return read_text_file(test::data_path("goldens/" + name), 16U << 20);
}

test::CheckpointJob dense_job() {
  test::CheckpointJob job;
  job.config_json = golden_text("dense/config.json");
  job.tensors = test::recipe_of_golden(nlohmann::json::parse(golden_text("dense/golden.json")));
  job.seed = 1001;
  return job;
}

Error loading_error(test::RecipeTensors tensors) {
  const auto model = test::tiny_model();
  const auto source = test::recipe_source(std::move(tensors), 1, "{}");
  const auto ops = make_ops("reference", 1);
  return test::error_of([&] { load_weights(model.config, *source, *ops); });
}

const std::string kLayer = "model.language_model.layers.2.";

}  // namespace

TEST_CASE("a_written_checkpoint_has_the_published_bytes_in_one_file_and_in_shards", "[engine]") {
  const auto stored = open_checkpoint(test::data_path("goldens/dense"));
  for (const uint64_t shard_bytes : {uint64_t{1} << 30, uint64_t{100000}}) {
    const test::TemporaryFolder folder;
    auto job = dense_job();
    job.shard_bytes = shard_bytes;
    test::write_checkpoint(folder / "out", job);
    const auto written = open_checkpoint(folder / "out");
    REQUIRE(written->names() == stored->names());
    for (const std::string& name : stored->names()) {
      const TensorInfo info = *stored->find(name);
      std::vector<std::byte> expected(info.bytes()), found(info.bytes());
      stored->read(name, {0, info.rows()}, expected);
      written->read(name, {0, info.rows()}, found);
      CHECK(found == expected);
    }
    CHECK(std::filesystem::exists(folder / "out" / "model.safetensors.index.json") == (shard_bytes == 100000));
    CHECK(parse_model_config(*written->text("config.json")).layers.size() == 6);
  }
}

TEST_CASE("a_tokenizer_is_filled_up_to_the_vocabulary", "[engine]") {
  const test::TemporaryFolder folder;
  auto job = dense_job();
  job.tokenizer_json =
      R"({"added_tokens":[{"id":1,"content":"<eos>"}],"model":{"vocab":{"a":0,"<eos>":1,"<unused0>":2}}})";
  test::write_checkpoint(folder / "out", job);
  const auto tokenizer = nlohmann::json::parse(read_text_file(folder / "out" / "tokenizer.json", 1U << 20));
  const auto& vocabulary = tokenizer["model"]["vocab"];
  CHECK(vocabulary.size() == 384);
  CHECK(vocabulary["<unused1>"] == 3);
  const auto generation = nlohmann::json::parse(read_text_file(folder / "out" / "generation_config.json", 1U << 20));
  CHECK(generation["eos_token_id"] == nlohmann::json::array({1}));
  CHECK(test::error_of([&] { test::write_checkpoint(folder / "out", job); }).code() == Code::input);
}

TEST_CASE("a_missing_tensor_is_named", "[engine]") {
  auto tensors = test::default_recipe(test::tiny_model().config);
  tensors.erase(kLayer + "mlp.up_proj.weight");
  const Error error = loading_error(tensors);
  CHECK(error.code() == Code::corrupt);
  CHECK(error.message().find(kLayer + "mlp.up_proj.weight: missing") != std::string::npos);
}

TEST_CASE("a_wrong_shape_is_named_with_both_shapes", "[engine]") {
  auto tensors = test::default_recipe(test::tiny_model().config);
  tensors[kLayer + "mlp.up_proj.weight"].shape = {128, 63};
  CHECK(loading_error(tensors).message().find("up_proj.weight: expected shape [128, 64], found [128, 63]") !=
        std::string::npos);
}

TEST_CASE("a_surplus_tensor_of_the_language_model_is_refused", "[engine]") {
  auto tensors = test::default_recipe(test::tiny_model().config);
  tensors[kLayer + "self_attn.k_bias"].shape = {64};
  const Error error = loading_error(tensors);
  CHECK(error.code() == Code::unsupported);
  CHECK(error.message().find("k_bias") != std::string::npos);
}

TEST_CASE("other_towers_are_skipped_by_name", "[engine]") {
  const auto model = test::tiny_model("e2b");
  auto tensors = test::default_recipe(model.config);
  tensors["model.vision_tower.patch.weight"].shape = {4, 4};
  tensors["model.language_model.layers.7.self_attn.k_proj.weight"].shape = {32, 64};  // of a KV-shared layer
  const auto source = test::recipe_source(tensors, 1, "{}");
  const auto ops = make_ops("reference", 1);
  CHECK(load_weights(model.config, *source, *ops).skipped.size() == 2);
}

}  // namespace gf
