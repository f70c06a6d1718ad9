// The two large members, model.vocab and model.merges, go straight into their lists while the file is read;
// the small rest becomes an ordinary JSON value and is checked key by key.
#include "engine/tokenizer_file.h"

#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 16;

class Reader : public nlohmann::json_sax<json> {
 public:
  Reader(std::string_view what, TokenizerFile& file) : what_(what), file_(file) {}

  bool null() override { return value(json()); }
  bool boolean(bool value) override { return this->value(json(value)); }
  bool number_integer(number_integer_t number) override {
    if (in_ == In::vocab) fail("model.vocab: an id is below 0: ", number);
    return value(json(number));
  }
  bool number_unsigned(number_unsigned_t number) override {
    if (in_ != In::vocab) return value(json(number));
    if (number >= static_cast<number_unsigned_t>(kMaxTokens))
      fail("model.vocab: id ", number, " is above the limit of ", kMaxTokens);
    file_.vocab_ids.push_back(static_cast<int32_t>(number));
    return true;
  }
  bool number_float(number_float_t number, const string_t&) override { return value(json(number)); }
  bool string(string_t& text) override {
    if (in_ == In::merges) return legacy_merge(text);
    if (in_ == In::merge_pair) return half_of_pair(text);
    return value(json(std::move(text)));
  }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override {
    if (in_ != In::rest) fail(where(), ": unexpected object");
    if (stack_.size() == 2 && model_ && key_ == "vocab") {
      in_ = In::vocab;
      seen_once(vocab_seen_, "model.vocab");
      return true;
    }
    if (stack_.size() == 1 && key_ == "model") model_ = true;
    return open(json::object());
  }
  bool end_object() override {
    if (in_ == In::vocab) {
      in_ = In::rest;
      return true;
    }
    if (stack_.size() == 2) model_ = false;
    return close();
  }
  bool start_array(std::size_t) override {
    if (in_ == In::merges) {
      in_ = In::merge_pair;
      halves_ = 0;
      return true;
    }
    if (in_ != In::rest) fail(where(), ": unexpected list");
    if (stack_.size() == 2 && model_ && key_ == "merges") {
      in_ = In::merges;
      seen_once(merges_seen_, "model.merges");
      return true;
    }
    return open(json::array());
  }
  bool end_array() override {
    if (in_ == In::merge_pair) {
      if (halves_ != 2) fail("model.merges: entry ", file_.merges.size() / 2, ": expected 2 texts, found ", halves_);
      in_ = In::merges;
      return true;
    }
    if (in_ == In::merges) {
      in_ = In::rest;
      return true;
    }
    return close();
  }
  bool key(string_t& name) override {
    if (in_ == In::vocab) {
      if (name.empty() || name.size() > kMaxTokenTextBytes)
        fail("model.vocab: a token of ", name.size(), " bytes; expected 1 to ", kMaxTokenTextBytes);
      if (file_.vocab.size() >= static_cast<size_t>(kMaxTokens)) fail("model.vocab: more than ", kMaxTokens, " tokens");
      file_.vocab.add(name);
      return true;
    }
    if (stack_.back()->contains(name)) fail("duplicate key \"", printable(shortened(name, 80)), "\"");
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string reason = error.what();
    const size_t colon = reason.find(": ");
    if (colon != std::string::npos) reason = reason.substr(colon + 2);
    fail("not valid JSON at byte ", position, ": ", printable(shortened(reason, 200)));
  }

  json take() {
    if (!vocab_seen_) fail("model.vocab is missing");
    if (!merges_seen_) fail("model.merges is missing");
    return std::move(root_);
  }

 private:
  enum class In { rest, vocab, merges, merge_pair };

  template <typename... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw Error(Code::input, what_, ": ", parts...);
  }
  [[nodiscard]] std::string where() const { return in_ == In::vocab ? "model.vocab" : "model.merges"; }
  void seen_once(bool& seen, std::string_view name) {
    if (seen) fail("duplicate key \"", name, "\"");
    seen = true;
  }
  // Older files write a pair as "left right"; no token of those files holds a space.
  bool legacy_merge(const std::string& text) {
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
      fail("model.merges: entry ", file_.merges.size() / 2, ": expected two texts with one space between, found \"",
           printable(shortened(text, 80)), "\"");
    halves_ = 0;
    half_of_pair(text.substr(0, space));
    return half_of_pair(text.substr(space + 1));
  }
  bool half_of_pair(const std::string& text) {
    if (++halves_ > 2) fail("model.merges: entry ", file_.merges.size() / 2, ": more than 2 texts");
    if (text.size() > kMaxTokenTextBytes) fail("model.merges: a text of ", text.size(), " bytes");
    if (file_.merges.size() >= 2 * kMaxMerges) fail("model.merges: more than ", kMaxMerges, " pairs");
    file_.merges.add(text);
    return true;
  }
  json* place(json&& value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    json& member = parent[key_];
    member = std::move(value);
    return &member;
  }
  bool value(json&& value) {
    if (in_ != In::rest) fail(where(), ": a value of the wrong kind");
    place(std::move(value));
    return true;
  }
  bool open(json&& container) {
    if (stack_.size() >= kMaxDepth) fail("nested deeper than ", kMaxDepth, " levels");
    stack_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  std::string_view what_;
  TokenizerFile& file_;
  json root_;
  std::vector<json*> stack_;
  std::string key_;
  In in_ = In::rest;
  bool model_ = false, vocab_seen_ = false, merges_seen_ = false;
  int halves_ = 0;
};

// A key that may be absent, null, or of the one value that is implemented.
void expect(JsonObject& object, const char* key, const json& wanted) {
  if (!object.has(key)) return;
  const json& found = object.any(key);
  if (found.is_null() || found == wanted) return;
  throw Error(Code::input, object.path(), ".", key, ": only ", wanted.dump(), " is implemented, found ",
              printable(shortened(found.dump(), 120)));
}

// A part of the pipeline: absent or exactly `wanted`, or a sequence of that alone.
void expect_part(JsonObject& root, const char* key, const json& wanted, const char* list) {
  const json* found = &root.any(key);
  if (found->is_object() && found->value("type", json()) == "Sequence" && found->contains(list) &&
      (*found)[list].is_array() && (*found)[list].size() == 1 && wanted.value("type", "") != "Sequence")
    found = &(*found)[list][0];
  if (*found == wanted) return;
  throw Error(Code::input, root.path(), ".", key, ": only ", wanted.dump(), " is implemented, found ",
              printable(shortened(found->dump(), 300)));
}

void check_pipeline(JsonObject& root) {
  const json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
  expect_part(root, "normalizer", replace, "normalizers");
  // No space is left after the normalizer, so splitting at spaces does nothing, whatever its behavior is.
  if (root.has("pre_tokenizer") && !root.any("pre_tokenizer").is_null()) {
    const json& split = root.any("pre_tokenizer");
    const bool harmless = split.is_object() && split.value("type", json()) == "Split" &&
                          split.value("pattern", json()) == json({{"String", " "}}) &&
                          split.value("invert", json(false)) == false;
    if (!harmless)
      throw Error(Code::input, root.path(), ".pre_tokenizer: only a Split at single spaces is implemented, found ",
                  printable(shortened(split.dump(), 300)));
  }
  // What it adds (BOS) is part of the rendered conversation here, so its content does not matter.
  if (root.has("post_processor") && !root.any("post_processor").is_null()) {
    const json& post = root.any("post_processor");
    if (!post.is_object() || post.value("type", json()) != "TemplateProcessing")
      throw Error(Code::input, root.path(), ".post_processor: only TemplateProcessing is implemented, found ",
                  printable(shortened(post.dump(), 300)));
  }
  const json unreplace = {{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}};
  expect_part(root, "decoder",
              {{"type", "Sequence"}, {"decoders", {unreplace, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}},
              "decoders");
}

void check_model(JsonObject model) {
  if (const std::string type = model.string("type"); type != "BPE")
    throw Error(Code::input, model.path(), ".type: only \"BPE\" is implemented, found \"",
                printable(shortened(type, 80)), "\"");
  expect(model, "dropout", 0.0);
  expect(model, "continuing_subword_prefix", "");
  expect(model, "end_of_word_suffix", "");
  expect(model, "ignore_merges", false);
  // With all 256 byte tokens present, the unknown token is never reached.
  for (const char* key : {"unk_token", "fuse_unk"})
    if (model.has(key)) static_cast<void>(model.any(key));
  if (!model.boolean_or("byte_fallback", false))
    throw Error(Code::input, model.path(), ".byte_fallback: only true is implemented");
  model.finish();
}

std::vector<AddedToken> added_tokens(JsonObject& root) {
  std::vector<AddedToken> tokens;
  if (!root.has("added_tokens")) return tokens;
  for (JsonObject& entry : root.objects("added_tokens")) {
    AddedToken token;
    token.id = static_cast<int32_t>(entry.integer("id", 0, kMaxTokens - 1));
    token.content = entry.string("content");
    token.special = entry.boolean_or("special", false);
    if (token.content.empty() || token.content.size() > kMaxAddedTokenBytes)
      throw Error(Code::input, entry.path(), ".content: ", token.content.size(), " bytes; expected 1 to ",
                  kMaxAddedTokenBytes);
    for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"})
      if (entry.boolean_or(flag, false))
        throw Error(Code::input, entry.path(), ".", flag, ": only false is implemented");
    entry.finish();
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace

TokenizerFile read_tokenizer_file(std::string_view text, std::string_view what) {
  if (text.size() > kMaxTokenizerBytes)
    throw Error(Code::input, what, ": ", text.size(), " bytes; the limit is ", kMaxTokenizerBytes);
  TokenizerFile file;
  Reader reader(what, file);
  json::sax_parse(text.begin(), text.end(), &reader);
  const json rest = reader.take();
  if (file.vocab.size() != file.vocab_ids.size())
    throw Error(Code::input, what, ": model.vocab: a token without an id");

  JsonObject root(rest, std::string(what));
  expect(root, "version", "1.0");
  for (const char* key : {"truncation", "padding"})  // about batches of training texts, not about encoding
    if (root.has(key)) static_cast<void>(root.any(key));
  check_pipeline(root);
  check_model(root.object("model"));
  file.added = added_tokens(root);
  root.finish();
  return file;
}

}  // namespace gf
