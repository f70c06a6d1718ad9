// Files that are not what they claim, and properties that the golden cases do not name.
#include "engine/tokenizer.h"

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "engine/tokenizer_bpe.h"
#include "engine/unicode.h"
#include "kernels/base/text.h"
#include "tests/support/catch.h"

using gf::Code;
using gf::Special;
using gf::Tokenizer;
using gf::test::data_path;
using gf::test::error_of;
using nlohmann::json;

namespace {

const std::string& file_text() {
  static const std::string text = [] {
    std::ostringstream bytes;
    bytes << std::ifstream(data_path("tokenizer/tokenizer.json"), std::ios::binary).rdbuf();
    return std::move(bytes).str();
  }();
  return text;
}

const Tokenizer& tokenizer() {
  static const Tokenizer made = Tokenizer::parse(file_text());
  return made;
}

// The smallest file that is accepted: the byte tokens, a few texts, one special token.
json small_file() {
  json vocab = json::object();
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    vocab[name] = byte;
  }
  int next = 256;
  for (const char* text : {"a", "b", "c", "ab", "bc", "abc", "<s>"}) vocab[text] = next++;
  const json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
  const json back = {{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}};
  json file;
  file["version"] = "1.0";
  file["added_tokens"] = json::array({{{"id", 262}, {"content", "<s>"}, {"special", true}}});
  file["normalizer"] = replace;
  file["pre_tokenizer"] = nullptr;
  file["decoder"] = {{"type", "Sequence"},
                     {"decoders", json::array({back, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}})}};
  file["model"] = {{"type", "BPE"}, {"byte_fallback", true}, {"vocab", vocab}, {"merges", json::array()}};
  file["model"]["merges"] = json::array(
      {json::array({"b", "c"}), json::array({"a", "b"}), json::array({"a", "bc"}), json::array({"ab", "c"})});
  return file;
}

}  // namespace

TEST_CASE("a_small_file_is_read_in_both_spellings_of_merges") {
  json file = small_file();
  const Tokenizer pairs = Tokenizer::parse(file.dump());
  file["model"]["merges"] = {"b c", "a b", "a bc", "ab c"};
  const Tokenizer lines = Tokenizer::parse(file.dump());
  for (const std::string text : {"abc", "abcab<s>aabbcc x\xff"}) {
    CHECK(pairs.encode(text, Special::parse) == lines.encode(text, Special::parse));
    CHECK(pairs.encode("abc", Special::parse) == std::vector<int32_t>{261});
  }
  CHECK(pairs.vocab_size() == 263);
  CHECK(pairs.special_id("<s>") == 262);
  CHECK_FALSE(pairs.special_id("a").has_value());
}

TEST_CASE("files_of_another_kind_are_refused_by_name") {
  using Change = std::function<void(json&)>;
  const std::vector<std::pair<std::string, Change>> cases = {
      {"model.type", [](json& f) { f["model"]["type"] = "WordPiece"; }},
      {"type", [](json& f) { f["model"].erase("type"); }},
      {"normalizer",
       [](json& f) {
         f["normalizer"] = {{"type", "NFKC"}};
       }},
      {"normalizer", [](json& f) { f["normalizer"] = nullptr; }},
      {"pre_tokenizer",
       [](json& f) {
         f["pre_tokenizer"] = {{"type", "ByteLevel"}};
       }},
      {"pre_tokenizer",
       [](json& f) {
         f["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}};
       }},
      {"post_processor",
       [](json& f) {
         f["post_processor"] = {{"type", "ByteLevel"}};
       }},
      {"decoder",
       [](json& f) {
         f["decoder"] = {{"type", "ByteLevel"}};
       }},
      {"dropout", [](json& f) { f["model"]["dropout"] = 0.1; }},
      {"byte_fallback", [](json& f) { f["model"]["byte_fallback"] = false; }},
      {"ignore_merges", [](json& f) { f["model"]["ignore_merges"] = true; }},
      {"end_of_word_suffix", [](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }},
      {"version", [](json& f) { f["version"] = "2.0"; }},
      {"surprise", [](json& f) { f["surprise"] = 1; }},
      {"surprise", [](json& f) { f["model"]["surprise"] = 1; }},
      {"surprise", [](json& f) { f["added_tokens"][0]["surprise"] = 1; }},
      {"lstrip", [](json& f) { f["added_tokens"][0]["lstrip"] = true; }},
      {"normalized", [](json& f) { f["added_tokens"][0]["normalized"] = true; }},
      {"added token", [](json& f) { f["added_tokens"][0]["id"] = 3; }},
      {"added token", [](json& f) { f["added_tokens"].push_back(f["added_tokens"][0]); }},
      {"no token has id 263", [](json& f) { f["model"]["vocab"]["d"] = 301; }},
      {"belongs to", [](json& f) { f["model"]["vocab"]["d"] = 3; }},
      {"<0x41>",
       [](json& f) {
         f["model"]["vocab"].erase("<0x41>");
         f["model"]["vocab"]["d"] = 65;
       }},
      {"model.vocab", [](json& f) { f["model"].erase("vocab"); }},
      {"model.vocab", [](json& f) { f["model"]["vocab"]["d"] = -1; }},
      {"model.vocab", [](json& f) { f["model"]["vocab"]["d"] = 1.5; }},
      {"model.vocab", [](json& f) { f["model"]["vocab"]["d"] = "x"; }},
      {"model.vocab", [](json& f) { f["model"]["vocab"]["d"] = 99999999999; }},
      {"model.vocab", [](json& f) { f["model"]["vocab"]["d"] = json::object(); }},
      {"model.vocab", [](json& f) { f["model"]["vocab"]["d"] = json::array(); }},
      {"model.merges", [](json& f) { f["model"].erase("merges"); }},
      {"model.merges", [](json& f) { f["model"]["merges"] = {"a b c"}; }},
      {"model.merges", [](json& f) { f["model"]["merges"] = {"ab"}; }},
      {"model.merges", [](json& f) { f["model"]["merges"] = json::array({json::array({"a"})}); }},
      {"model.merges",
       [](json& f) {
         f["model"]["merges"] = json::array({json::array({"a", "b", "c"})});
       }},
      {"model.merges", [](json& f) { f["model"]["merges"] = {"c a"}; }},
      {"model.merges", [](json& f) { f["model"]["merges"] = {"a z"}; }},
      {"model.merges", [](json& f) { f["model"]["merges"] = {1}; }},
      {"byte token",
       [](json& f) {
         f["added_tokens"].push_back({{"id", 65}, {"content", "<0x41>"}, {"special", true}});
       }},
  };
  for (const auto& [name, change] : cases) {
    json file = small_file();
    change(file);
    INFO(name << " " << file.dump().substr(0, 200));
    const auto error = error_of([&] { Tokenizer::parse(file.dump(), "x/tokenizer.json"); });
    CHECK(error.code() == Code::input);
    CHECK(error.message().find(name) != std::string::npos);
    CHECK(error.message().find("x/tokenizer.json") == 0);
  }
}

TEST_CASE("texts_that_are_no_json_are_refused") {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[]"), std::string("{"), std::string("\xff"),
        file_text().substr(0, 30000), file_text() + "x", deep,
        std::string(R"({"model":{"vocab":{"a":0},"vocab":{"a":0}}})"), std::string(R"({"model":1,"model":2})")}) {
    INFO(gf::printable(text.substr(0, 60)));
    CHECK(error_of([&] { Tokenizer::parse(text); }).code() == Code::input);
  }
}

TEST_CASE("mutated_files_are_refused_or_work_and_never_crash") {
  std::mt19937_64 random(11);
  const std::string original = small_file().dump();
  int refused = 0;
  for (int run = 0; run < 1500; ++run) {
    std::string text = original;
    for (size_t changes = 1 + random() % 4; changes > 0; --changes) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, random() % 40); break;
        case 2: text.insert(at, text.substr(random() % text.size(), random() % 40)); break;
        default: text[at] = "0123456789\"{}[],:"[random() % 17];
      }
      if (text.empty()) text = "{";
    }
    try {
      const Tokenizer made = Tokenizer::parse(text);
      for (const int32_t id : made.encode("abc <s> \xff é abcabc", Special::parse))
        static_cast<void>(made.token_bytes(id));
    } catch (const gf::Error& error) {
      REQUIRE(error.code() == Code::input);
      ++refused;
    }
  }
  CHECK(refused > 500);
}

TEST_CASE("any_bytes_encode_and_valid_text_comes_back") {
  std::mt19937_64 random(5);
  const std::vector<std::string> parts = {"a",  " ", "\n",     "<|turn>", "<turn|>",  "<unused3>", "é",
                                          "漢", "🚀", "<0x41>", "\xff",    "\xe6\xbc", "server"};
  for (int run = 0; run < 3000; ++run) {
    std::string text;
    for (size_t length = random() % 30; length > 0; --length) text += parts[random() % parts.size()];
    for (const Special special : {Special::parse, Special::plain}) {
      const std::vector<int32_t> ids = tokenizer().encode(text, special);
      const std::string back = tokenizer().decode(ids);
      REQUIRE(gf::is_valid_utf8(back));
      if (gf::is_valid_utf8(text)) REQUIRE(back == text);
      if (special == Special::plain)
        for (const int32_t id : ids) REQUIRE_FALSE(tokenizer().is_special(id));
    }
  }
}

TEST_CASE("the_heap_gives_what_the_plain_rule_gives") {
  // The rule as it is written: search all pairs for the lowest rank, leftmost first, join, repeat.
  std::mt19937_64 random(3);
  for (int run = 0; run < 300; ++run) {
    const int32_t letters = 2 + static_cast<int32_t>(random() % 3), merges = 1 + static_cast<int32_t>(random() % 12);
    gf::MergeTable table(static_cast<size_t>(merges));
    struct Rule {
      int32_t left, right;
    };
    std::vector<Rule> rules;
    for (int32_t rank = 0; rank < merges; ++rank) {
      const auto any = [&] { return static_cast<int32_t>(random() % static_cast<uint64_t>(letters + rank)); };
      const Rule rule{any(), any()};
      if (table.find(rule.left, rule.right) != nullptr) {
        --rank;
        if (random() % 4 == 0) break;
        continue;
      }
      table.set(rule.left, rule.right, {static_cast<uint32_t>(rank), letters + rank});
      rules.push_back(rule);
    }
    std::vector<int32_t> plain;
    for (size_t length = random() % 60; length > 0; --length)
      plain.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(letters)));
    std::vector<int32_t> fast;
    gf::merge_symbols(plain, table, fast);
    for (;;) {
      size_t best = plain.size();
      uint32_t best_rank = UINT32_MAX;
      for (size_t i = 0; i + 1 < plain.size(); ++i)
        if (const auto* merge = table.find(plain[i], plain[i + 1]); merge != nullptr && merge->rank < best_rank) {
          best_rank = merge->rank;
          best = i;
        }
      if (best == plain.size()) break;
      plain[best] = letters + static_cast<int32_t>(best_rank);
      plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    REQUIRE(fast == plain);
  }
}

TEST_CASE("an_id_outside_the_vocabulary_is_an_error") {
  const std::vector<int32_t> above = {1024}, below = {-1};
  CHECK(error_of([&] { return tokenizer().decode(above); }).code() == Code::input);
  CHECK(error_of([&] { return tokenizer().decode(below); }).code() == Code::input);
}

TEST_CASE("a_special_token_hides_what_starts_inside_it") {
  // "<|turn>" is text here, and the added token that begins within it is not looked for.
  json file = small_file();
  file["model"]["vocab"]["s>b"] = 263;
  file["added_tokens"].push_back({{"id", 263}, {"content", "s>b"}});
  const Tokenizer made = Tokenizer::parse(file.dump());
  const auto has = [&](const std::vector<int32_t>& ids) { return std::find(ids.begin(), ids.end(), 263) != ids.end(); };
  CHECK(has(made.encode("xs>b", Special::plain)));
  CHECK_FALSE(has(made.encode("<s>b", Special::plain)));
  CHECK_FALSE(has(made.encode("<s>b", Special::parse)));
}

TEST_CASE("merges_cannot_make_a_special_token_of_plain_text") {
  json file = small_file();
  file["model"]["vocab"]["<"] = 263;
  file["model"]["vocab"]["s>"] = 264;
  file["model"]["vocab"]["s"] = 265;
  file["model"]["vocab"][">"] = 266;
  file["model"]["merges"] = {"s >", "< s>", "a b"};
  file["added_tokens"].push_back({{"id", 256}, {"content", "a"}, {"special", true}});  // a single character
  const Tokenizer made = Tokenizer::parse(file.dump());
  CHECK(made.encode("<s>", Special::plain) == std::vector<int32_t>{263, 264});
  CHECK(made.encode("<s>", Special::parse) == std::vector<int32_t>{262});
  CHECK(made.encode("a", Special::plain) == std::vector<int32_t>{'a'});
  CHECK(made.encode("a", Special::parse) == std::vector<int32_t>{256});
}

TEST_CASE("case_and_white_space_follow_python") {
  CHECK(gf::unicode_lower("AZ\u00C4\u0130\u1E9E\U00010400") == "az\u00E4i\u0307\u00DF\U00010428");
  CHECK(gf::unicode_upper("az\u00DF\uFB03\u0149\u00FF") == "AZSSFFI\u02BCN\u0178");
  CHECK(gf::unicode_lower("\u039F\u0394\u039F\u03A3 \u03A3 \u03A3\u0391") ==
        "\u03BF\u03B4\u03BF\u03C2 \u03C3 \u03C3\u03B1");
  CHECK(gf::unicode_lower("\u0391\u03A3\u0301") == "\u03B1\u03C2\u0301");
  CHECK(gf::unicode_lower("A\xff\xe6\xbc") == "a\xff\xe6\xbc");
  CHECK(gf::unicode_stripped("\u00A0\u3000\x1F x \u200B\u2028\x85") == "x \u200B\u2028\x85");
  CHECK(gf::unicode_stripped("\u00A0\u3000\x1F x\u2028\u0085\n") == "x");
  CHECK(gf::unicode_stripped(" \t").empty());
}
