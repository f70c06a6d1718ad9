#include "tests/tools/checkpoint_writer.h"

#include <fcntl.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"

namespace gf::test {
namespace {

using Json = nlohmann::ordered_json;
constexpr uint64_t kPieceBytes = 16U << 20;

uint64_t bytes_of(const RecipeTensor& tensor) {
  return TensorInfo{.dtype = DType::bf16, .shape = tensor.shape}.bytes();
}

using Shard = std::vector<RecipeTensors::const_iterator>;

std::vector<Shard> cut(const RecipeTensors& tensors, uint64_t shard_bytes) {
  std::vector<Shard> shards;
  uint64_t used = 0;
  for (auto tensor = tensors.begin(); tensor != tensors.end(); ++tensor) {
    const uint64_t bytes = bytes_of(tensor->second);
    if (shards.empty() || used + bytes > shard_bytes) {
      shards.emplace_back();
      used = 0;
    }
    shards.back().push_back(tensor);
    used += bytes;
  }
  return shards;
}

std::string shard_name(size_t index, size_t count) {
  if (count == 1) return "model.safetensors";
  char name[64];
  snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

void write_shard(const std::filesystem::path& path, const Shard& shard, uint64_t seed) {
  Json header = Json::object();
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t offset = 0;
  for (const auto& tensor : shard) {
    const uint64_t end = offset + bytes_of(tensor->second);
    header[tensor->first] = {{"dtype", "BF16"}, {"shape", tensor->second.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // data begin at a multiple of 8
  std::string size(8, '\0');
  for (size_t i = 0; i < 8; ++i) size[i] = static_cast<char>(text.size() >> (8 * i) & 0xFFU);
  const Fd file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  write_all(file, as_bytes(size + text), path.native());
  std::vector<std::byte> piece;
  for (const auto& tensor : shard) {
    const uint64_t bytes = bytes_of(tensor->second);
    for (uint64_t at = 0; at < bytes; at += piece.size()) {
      piece.resize(std::min(kPieceBytes, bytes - at));
      generate_numbers(tensor->first, seed, tensor->second, at / 2, piece);
      write_all(file, piece, path.native());
    }
  }
  sync_file(file, path.native());
}

void write_text(const std::filesystem::path& path, const std::string& text) { write_atomically(path, text); }

// Adds "<unusedN>" for every id below vocab_size that the tokenizer does not have.
Json padded_tokenizer(const std::string& text, int64_t vocab_size) {
  Json tokenizer = Json::parse(text);
  Json& vocabulary = tokenizer.at("model").at("vocab");
  std::set<int64_t> ids;
  for (const auto& [token, id] : vocabulary.items()) ids.insert(id.get<int64_t>());
  for (const Json& added : tokenizer.value("added_tokens", Json::array())) ids.insert(added.at("id").get<int64_t>());
  if (!ids.empty() && *ids.rbegin() >= vocab_size)
    throw Error(Code::input, "tokenizer.json has token ", *ids.rbegin(), ", the config's vocab_size is ", vocab_size);
  int64_t number = 0;
  for (int64_t id = 0; id < vocab_size; ++id) {
    if (ids.contains(id)) continue;
    std::string name;
    do {
      name = "<unused" + std::to_string(number++) + ">";
    } while (vocabulary.contains(name));
    vocabulary[name] = id;
  }
  return tokenizer;
}

int64_t id_of(const Json& tokenizer, const std::string& content) {
  for (const Json& added : tokenizer.value("added_tokens", Json::array()))
    if (added.at("content") == content) return added.at("id").get<int64_t>();
  const Json& vocabulary = tokenizer.at("model").at("vocab");
  return vocabulary.contains(content) ? vocabulary[content].get<int64_t>() : -1;
}

// With a tokenizer, the ids are those of its own special tokens; config.json follows.
void write_configs(const std::filesystem::path& folder, const CheckpointJob& job, const Json& tokenizer) {
  Json config = Json::parse(job.config_json);
  Json stops = config.value("eos_token_id", Json::array());
  if (!tokenizer.is_null()) {
    stops = Json::array();
    for (const char* content : {"<eos>", "<turn|>", "<|tool_response>"})
      if (const int64_t id = id_of(tokenizer, content); id >= 0) stops.push_back(id);
    config["eos_token_id"] = stops;
  }
  const Json generation = {
      {"do_sample", true}, {"eos_token_id", stops}, {"temperature", 1.0}, {"top_k", 64}, {"top_p", 0.95}};
  write_text(folder / "config.json", config.dump(2) + "\n");
  write_text(folder / "generation_config.json", generation.dump(2) + "\n");
}

}  // namespace

void write_checkpoint(const std::filesystem::path& folder, const CheckpointJob& job) {
  const ModelConfig config = parse_model_config(job.config_json);
  if (job.tensors.empty()) throw Error(Code::input, "a checkpoint needs tensors");
  if (!std::filesystem::create_directory(folder))
    throw Error(Code::input, folder.native(), " exists already; name a new folder");
  Json tokenizer;
  if (!job.tokenizer_json.empty()) {
    parse_json(job.tokenizer_json, "tokenizer.json");  // strict: duplicate tokens are refused
    tokenizer = padded_tokenizer(job.tokenizer_json, config.vocab_size);
    write_text(folder / "tokenizer.json", tokenizer.dump());
  }
  write_configs(folder, job, tokenizer);
  const auto shards = cut(job.tensors, job.shard_bytes);
  Json map = Json::object();
  uint64_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    write_shard(folder / shard_name(i, shards.size()), shards[i], job.seed);
    for (const auto& tensor : shards[i]) {
      map[tensor->first] = shard_name(i, shards.size());
      total += bytes_of(tensor->second);
    }
  }
  if (shards.size() == 1) return;
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  write_text(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace gf::test
