#include "engine/config.h"

#include <nlohmann/json.hpp>

#include "kernels/base/fd.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

nlohmann::json config_of(const std::string& name) {
  return nlohmann::json::parse(read_text_file(test::data_path("goldens/" + name + "/config.json"), 1U << 20));
}

Error refusal(const std::string& pointer, const nlohmann::json& value) {
  nlohmann::json config = config_of("dense");
  config[nlohmann::json::json_pointer(pointer)] = value;
  return test::error_of([&] { parse_model_config(config.dump()); });
}

}  // namespace

TEST_CASE("a_published_shape_is_read_as_its_table_says", "[engine]") {
  const ModelConfig config = parse_model_config(config_of("31b-slice").dump());
  CHECK(config.hidden_size == 5376);
  REQUIRE(config.layers.size() == 2);
  CHECK(config.layers[0].head_dim == 256);
  CHECK(config.layers[0].kv_heads == 16);
  CHECK(!config.layers[0].v_is_k);
  CHECK(config.layers[1].type == LayerType::full);
  CHECK(config.layers[1].head_dim == 512);
  CHECK(config.layers[1].kv_heads == 4);
  CHECK(config.layers[1].v_is_k);
  CHECK(config.full_rope.rotated == 0.25);
  CHECK(config.eos_token_ids == std::vector<int32_t>{1, 106, 50});
}

TEST_CASE("shared_layers_read_the_last_layer_of_their_type_below", "[engine]") {
  const ModelConfig config = parse_model_config(config_of("e2b").dump());
  REQUIRE(config.layers.size() == 10);
  CHECK(config.first_kv_shared_layer == 5);
  CHECK(config.layers[4].kv_layer == 4);
  CHECK(config.layers[5].kv_layer == 3);
  CHECK(config.layers[9].kv_layer == 4);
  CHECK(config.layers[4].intermediate_size == 128);
  CHECK(config.layers[5].intermediate_size == 256);
}

TEST_CASE("every_spelling_gives_the_same_shape", "[engine]") {
  const ModelConfig plain = parse_model_config(config_of("dense").dump());
  nlohmann::json other = config_of("dense");
  nlohmann::json& text = other["text_config"];
  text.erase("rope_parameters");
  text["rope_theta"] = 1e6;
  text["rope_local_base_freq"] = 1e4;
  text.erase("global_head_dim");
  text.erase("num_global_key_value_heads");
  text["per_layer_config"] = {{"5", {{"head_dim", 64}, {"num_key_value_heads", 1}}}};
  text.erase("dtype");
  text["torch_dtype"] = "bfloat16";
  // A text-only export has it all at the top.
  text["model_type"] = "gemma4_text";
  for (const ModelConfig& config : {parse_model_config(other.dump()), parse_model_config(text.dump())}) {
    CHECK(config.layers[5].head_dim == plain.layers[5].head_dim);
    CHECK(config.layers[5].kv_heads == plain.layers[5].kv_heads);
    CHECK(config.layers[0].head_dim == plain.layers[0].head_dim);
    CHECK(config.full_rope.theta == plain.full_rope.theta);
    CHECK(config.full_rope.rotated == plain.full_rope.rotated);
    CHECK(config.sliding_rope.theta == plain.sliding_rope.theta);
  }
}

TEST_CASE("the_last_layer_is_full_whatever_the_list_says", "[engine]") {
  nlohmann::json config = config_of("dense");
  config["text_config"]["layer_types"][5] = "sliding_attention";
  CHECK(parse_model_config(config.dump()).layers[5].type == LayerType::full);
}

TEST_CASE("values_that_are_not_implemented_are_refused_by_key", "[engine]") {
  const std::vector<std::pair<std::string, nlohmann::json>> bad = {
      {"/text_config/hidden_activation", "silu"},
      {"/text_config/attention_bias", true},
      {"/text_config/layer_types/2", "linear_attention"},
      {"/text_config/use_bidirectional_attention", "all"},
      {"/text_config/rope_parameters/full_attention/rope_type", "yarn"},
      {"/text_config/rope_parameters/sliding_attention/partial_rotary_factor", 0.5},
      {"/text_config/attn_logit_softcapping", 50},
      {"/text_config/dtype", "float16"},
      {"/quantization_config", {{"quant_method", "gptq"}}},
      {"/model_type", "gemma3"},
  };
  for (const auto& [pointer, value] : bad) {
    CAPTURE(pointer);
    const Error error = refusal(pointer, value);
    CHECK(error.code() == Code::unsupported);
    std::string key = pointer.substr(pointer.rfind('/') + 1);
    if (key == "2") key = "layer_types[2]";
    CHECK(error.message().find(key) != std::string::npos);
  }
}

TEST_CASE("values_that_make_no_model_are_refused_by_key", "[engine]") {
  const std::vector<std::pair<std::string, nlohmann::json>> bad = {
      {"/text_config/hidden_size", 0},
      {"/text_config/hidden_size", "64"},
      {"/text_config/hidden_size", 1e30},
      {"/text_config/hidden_size", 18446744073709551615U},
      {"/text_config/vocab_size", nullptr},
      {"/text_config/num_hidden_layers", 7},
      {"/text_config/num_key_value_heads", 3},
      {"/text_config/head_dim", 33},
      {"/text_config/num_kv_shared_layers", 6},
      {"/text_config/enable_moe_block", true},
      {"/text_config/rms_norm_eps", 0},
      {"/text_config/final_logit_softcapping", -1},
      {"/text_config/per_layer_config", {{"6", {{"head_dim", 64}}}}},
      {"/text_config/per_layer_config", {{"-1", {{"head_dim", 64}}}}},
      {"/text_config", 3},
  };
  for (const auto& [pointer, value] : bad) {
    CAPTURE(pointer, value.dump());
    CHECK(refusal(pointer, value).code() == Code::input);
  }
}

}  // namespace gf
