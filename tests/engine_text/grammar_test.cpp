// Whatever the sampler prefers, what comes out is JSON of the schema, within the tokens that were left.
#include "engine/grammar.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "kernels/base/strict_json.h"
#include "kernels/base/text.h"
#include "tests/support/catch.h"

using gf::Code;
using gf::ThinkingMode;
using gf::Tokenizer;
using gf::test::data_path;
using gf::test::error_of;
using nlohmann::json;

namespace {

const Tokenizer& tokenizer() {
  static const Tokenizer made = [] {
    std::ostringstream text;
    text << std::ifstream(data_path("tokenizer/tokenizer.json"), std::ios::binary).rdbuf();
    return Tokenizer::parse(std::move(text).str());
  }();
  return made;
}

std::shared_ptr<const gf::GrammarVocabulary> vocabulary() {
  static const auto made = gf::make_grammar_vocabulary(tokenizer());
  return made;
}

// The plan that the model writes for each fix.
const json& plan_schema() {
  static const json schema = json::parse(R"({
    "type": "object", "additionalProperties": false,
    "required": ["rule", "preconditions", "files", "services", "script", "rollback", "validation", "needs_reboot", "risk",
                 "attempt", "reason"],
    "properties": {
      "rule": {"enum": ["sshd_set_idle_timeout", "sshd_set_idle_timeout_2", "no_empty_passwords"]},
      "preconditions": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 40}, "maxItems": 3},
      "files": {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "string", "minLength": 2, "maxLength": 60}},
      "services": {"type": "array", "items": {"type": "object", "required": ["name", "action"], "properties": {
          "name": {"type": "string", "minLength": 1, "maxLength": 20}, "action": {"enum": ["restart", "reload", "none"]}}}},
      "script": {"type": "string", "minLength": 5, "maxLength": 400},
      "rollback": {"type": "string", "maxLength": 400},
      "validation": {"type": "string", "maxLength": 100},
      "needs_reboot": {"type": "boolean"},
      "risk": {"enum": ["low", "medium", "high"]},
      "attempt": {"type": "integer", "minimum": -12, "maximum": 250},
      "reason": {"type": "string", "minLength": 0, "maxLength": 200},
      "weight": {"type": "number"},
      "note": {"const": null}
    }})");
  return schema;
}

size_t code_points(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// An independent reading of the same schemas; says what is wrong, or nothing.
std::string misfit(const json& value, const json& schema) {
  if (schema.contains("const")) return value == schema["const"] ? "" : "not the constant";
  if (schema.contains("enum"))
    return std::find(schema["enum"].begin(), schema["enum"].end(), value) != schema["enum"].end() ? "" : "not in enum";
  const std::string type = schema["type"];
  if (type == "string") {
    if (!value.is_string()) return "not a string";
    const size_t length = code_points(value.get<std::string>());
    const bool fits = length >= schema.value("minLength", size_t{0}) && length <= schema.value("maxLength", SIZE_MAX);
    return fits ? "" : "a string of " + std::to_string(length);
  }
  if (type == "integer") {
    if (!value.is_number_integer()) return "not an integer";
    const auto number = value.get<int64_t>();
    const bool fits = number >= schema.value("minimum", INT64_MIN) && number <= schema.value("maximum", INT64_MAX);
    return fits ? "" : "out of range";
  }
  if (type == "number") return value.is_number() ? "" : "not a number";
  if (type == "boolean") return value.is_boolean() ? "" : "not a boolean";
  if (type == "null") return value.is_null() ? "" : "not null";
  if (type == "array") {
    if (!value.is_array()) return "not a list";
    if (value.size() < schema.value("minItems", size_t{0}) || value.size() > schema.value("maxItems", SIZE_MAX))
      return "a list of " + std::to_string(value.size());
    for (const json& item : value)
      if (const std::string wrong = misfit(item, schema["items"]); !wrong.empty()) return wrong;
    return "";
  }
  if (!value.is_object()) return "not an object";
  for (const json& key : schema.value("required", json::array()))
    if (!value.contains(key.get<std::string>())) return "without " + key.get<std::string>();
  for (const auto& [key, member] : value.items()) {
    if (!schema["properties"].contains(key)) return "with " + key;
    if (const std::string wrong = misfit(member, schema["properties"][key]); !wrong.empty()) return key + ": " + wrong;
  }
  return "";
}

using Random = std::mt19937_64;

std::vector<int32_t> tokens_of(std::span<const uint64_t> bits) {
  std::vector<int32_t> tokens;
  for (size_t word = 0; word < bits.size(); ++word)
    for (uint64_t left = bits[word]; left != 0; left &= left - 1)
      tokens.push_back(static_cast<int32_t>(word * 64) + __builtin_ctzll(left));
  return tokens;
}

// Picks among the allowed tokens; each kind of sampler has its own obsession.
struct Sampler {
  Random random;
  int kind;
  std::vector<double> taste;

  Sampler(uint64_t seed, int kind_of) : random(seed), kind(kind_of) {
    std::exponential_distribution<double> weight(1.0);
    for (size_t i = 0; i < tokenizer().vocab_size(); ++i) taste.push_back(weight(random));
  }
  int32_t pick(const std::vector<int32_t>& allowed) {
    const auto better = [&](auto&& score) {
      return *std::max_element(allowed.begin(), allowed.end(),
                               [&](int32_t a, int32_t b) { return score(a) < score(b); });
    };
    if (kind == 0) return allowed[random() % allowed.size()];
    // always the same favourites: loops
    if (kind == 1) return better([&](int32_t t) { return taste[static_cast<size_t>(t)]; });
    // the longest tokens, quotes hated: never wants to end
    if (kind == 2)
      return better([&](int32_t t) {
        const std::string_view bytes = tokenizer().token_bytes(t);
        return static_cast<double>(bytes.size()) + taste[static_cast<size_t>(t)] -
               (bytes.find_first_of("\"]}") != std::string_view::npos ? 100.0 : 0.0);
      });
    // byte tokens and backslashes: half-written characters and escapes
    return better([&](int32_t t) {
      const bool odd = tokenizer().is_byte_token(t) || tokenizer().token_bytes(t)[0] == '\\';
      return (odd ? 10.0 : 0.0) + static_cast<double>(random() % 16);
    });
  }
};

struct Run {
  std::string text;
  std::vector<int32_t> ids;
};

Run generate(const std::shared_ptr<const gf::Grammar>& grammar, ThinkingMode thinking, int64_t budget,
             Sampler& sampler) {
  const auto filter = gf::make_filter(grammar, thinking);
  std::vector<uint64_t> bits((tokenizer().vocab_size() + 63) / 64);
  Run run;
  for (int64_t left = budget; !filter->done(); --left) {
    REQUIRE(left > 0);
    std::fill(bits.begin(), bits.end(), 0);
    filter->allowed(bits, left);
    const std::vector<int32_t> allowed = tokens_of(bits);
    REQUIRE_FALSE(allowed.empty());
    const int32_t token = sampler.pick(allowed);
    filter->accept(token);
    run.ids.push_back(token);
  }
  const auto close = tokenizer().special_id("<channel|>");
  auto begin = run.ids.begin();
  if (thinking != ThinkingMode::off) begin = std::find(run.ids.begin(), run.ids.end(), *close) + 1;
  const std::vector<int32_t> answer(begin, run.ids.end());
  for (const int32_t id : answer) REQUIRE_FALSE(tokenizer().is_special(id));
  for (const int32_t id : answer) run.text += tokenizer().token_bytes(id);
  // What a user sees is the same: byte tokens always formed whole characters.
  REQUIRE(tokenizer().decode(answer) == run.text);
  return run;
}

void require_fit(const Run& run, const json& schema) {
  INFO(gf::printable(run.text));
  REQUIRE(gf::is_valid_utf8(run.text));
  const json value = gf::parse_json(run.text, "answer");
  REQUIRE(misfit(value, schema) == "");
}

}  // namespace

TEST_CASE("every_sampler_writes_a_plan_within_any_budget") {
  const auto grammar = gf::compile_schema(plan_schema(), vocabulary());
  const int64_t least = gf::least_tokens(*grammar, ThinkingMode::off);
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Sampler sampler(seed, static_cast<int>(seed % 4));
    const int64_t budget =
        least + static_cast<int64_t>(seed / 4 * (seed / 4) / 8);  // from the least to a thousand more
    require_fit(generate(grammar, ThinkingMode::off, budget, sampler), plan_schema());
  }
}

TEST_CASE("small_schemas_hold_under_thousands_of_random_runs") {
  const std::vector<json> schemas = {
      json::parse(R"({"type":"object","properties":{}})"),
      json::parse(
          R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"number"},"c":{"type":"null"}}})"),
      json::parse(
          R"({"type":"object","required":["s"],"properties":{"s":{"type":"string","minLength":3,"maxLength":3}}})"),
      json::parse(R"({"type":"object","required":["s"],"properties":{"s":{"type":"string","maxLength":0}}})"),
      json::parse(
          R"({"type":"object","required":["n"],"properties":{"n":{"enum":[1,12,123,-1,null,true,"1","\n\"é"]}}})"),
      json::parse(
          R"({"type":"object","required":["i"],"properties":{"i":{"type":"integer","minimum":97,"maximum":103}}})"),
      json::parse(
          R"({"type":"object","required":["i"],"properties":{"i":{"type":"integer","minimum":-1205,"maximum":-98}}})"),
      json::parse(
          R"({"type":"object","required":["i"],"properties":{"i":{"type":"integer","minimum":5,"maximum":5}}})"),
      json::parse(R"({"type":"object","required":["l"],"properties":{"l":{"type":"array","minItems":2,"maxItems":3,
                      "items":{"type":"array","maxItems":0,"items":{"type":"null"}}}}})"),
      json::parse(R"({"type":"object","required":["l"],"properties":{"l":{"type":"array","minItems":2,
                      "items":{"type":"object","required":["k"],"properties":{"k":{"type":"number"},"o":{"type":"string"}}}}}})"),
      json::parse(
          R"({"type":"object","required":["ключ \"\\"],"properties":{"ключ \"\\":{"type":"string","maxLength":9}}})"),
  };
  for (const json& schema : schemas) {
    const auto grammar = gf::compile_schema(schema, vocabulary());
    const int64_t least = gf::least_tokens(*grammar, ThinkingMode::off);
    for (uint64_t seed = 0; seed < 240; ++seed) {
      Sampler sampler(seed, static_cast<int>(seed % 4));
      INFO(schema.dump());
      require_fit(generate(grammar, ThinkingMode::off, least + static_cast<int64_t>(seed / 4), sampler), schema);
    }
  }
}

TEST_CASE("a_budget_below_the_least_is_an_error_at_once") {
  const auto grammar = gf::compile_schema(plan_schema(), vocabulary());
  std::vector<uint64_t> bits((tokenizer().vocab_size() + 63) / 64);
  for (const ThinkingMode thinking : {ThinkingMode::off, ThinkingMode::on, ThinkingMode::open}) {
    const int64_t least = gf::least_tokens(*grammar, thinking);
    const auto error = error_of([&] { gf::make_filter(grammar, thinking)->allowed(bits, least - 1); });
    CHECK(error.code() == Code::input);
    CHECK(error.message().find(std::to_string(least)) != std::string::npos);
    CHECK_NOTHROW(gf::make_filter(grammar, thinking)->allowed(bits, least));
  }
}

TEST_CASE("with_thinking_the_json_starts_after_the_channel_and_still_fits") {
  const auto grammar = gf::compile_schema(plan_schema(), vocabulary());
  for (const ThinkingMode thinking : {ThinkingMode::on, ThinkingMode::open}) {
    const int64_t least = gf::least_tokens(*grammar, thinking);
    for (uint64_t seed = 0; seed < 80; ++seed) {
      Sampler sampler(seed, static_cast<int>(seed % 4));
      const Run run = generate(grammar, thinking, least + static_cast<int64_t>(8 * seed), sampler);
      const bool opens = run.ids.front() == *tokenizer().special_id("<|channel>");
      REQUIRE(opens == (thinking == ThinkingMode::on));
      require_fit(run, plan_schema());
    }
  }
}

TEST_CASE("thinking_leaves_half_of_the_tokens_to_the_answer") {
  const auto grammar = gf::compile_schema(plan_schema(), vocabulary());
  const auto filter = gf::make_filter(grammar, ThinkingMode::open);
  std::vector<uint64_t> bits((tokenizer().vocab_size() + 63) / 64);
  const int32_t word = tokenizer().encode("file", gf::Special::plain)[0];
  const int32_t close = tokenizer().need_special_id("<channel|>");
  int64_t left = 2000;
  for (;; --left) {
    filter->allowed(bits, left);
    const std::vector<int32_t> allowed = tokens_of(bits);
    if (allowed == std::vector<int32_t>{close}) break;
    filter->accept(word);
  }
  CHECK(left == 1001);
}

TEST_CASE("after_the_end_only_stop_tokens_come") {
  const auto grammar = gf::compile_schema(json::parse(R"({"type":"object","properties":{}})"), vocabulary());
  const auto filter = gf::make_filter(grammar, ThinkingMode::off);
  for (const int32_t id : tokenizer().encode("{}", gf::Special::plain)) filter->accept(id);
  REQUIRE(filter->done());
  std::vector<uint64_t> bits((tokenizer().vocab_size() + 63) / 64);
  filter->allowed(bits, 1);
  std::vector<int32_t> stops = {tokenizer().need_special_id("<turn|>"), tokenizer().need_special_id("<eos>")};
  std::sort(stops.begin(), stops.end());
  CHECK(tokens_of(bits) == stops);
}

TEST_CASE("a_natural_answer_is_accepted_in_its_own_tokens") {
  const json schema =
      json::parse(R"({"type":"object","required":["rule","n","list"],"properties":{"rule":{"type":"string"},
      "n":{"type":"number"},"list":{"type":"array","items":{"type":"boolean"}}}})");
  const auto grammar = gf::compile_schema(schema, vocabulary());
  for (const std::string text : {R"({"rule": "a \"q\" \\ \u00e9 漢字 🚀", "n": -1.5e+10, "list": [true, false]})",
                                 R"({"rule":"","n":0,"list":[]})", R"({"rule":"\n\t\/","n":12, "list":[true]})"}) {
    const auto filter = gf::make_filter(grammar, ThinkingMode::off);
    const std::vector<int32_t> ids = tokenizer().encode(text, gf::Special::plain);
    std::vector<uint64_t> bits((tokenizer().vocab_size() + 63) / 64);
    for (size_t i = 0; i < ids.size(); ++i) {
      INFO(text << " token " << i);
      filter->allowed(bits, 1000);
      const auto token = static_cast<size_t>(ids[i]);
      REQUIRE((bits[token / 64] >> (token % 64) & 1) == 1);
      filter->accept(ids[i]);
    }
    CHECK(filter->done());
  }
}

TEST_CASE("what_a_filter_allows_is_exactly_what_it_accepts") {
  const auto grammar = gf::compile_schema(plan_schema(), vocabulary());
  std::vector<uint64_t> bits((tokenizer().vocab_size() + 63) / 64);
  for (uint64_t seed = 0; seed < 6; ++seed) {
    Sampler sampler(seed, static_cast<int>(seed % 4));
    std::vector<int32_t> before;
    const auto filter = gf::make_filter(grammar, ThinkingMode::off);
    for (int64_t step = 0; !filter->done() && step < 40; ++step) {
      filter->allowed(bits, 100000);
      const std::vector<int32_t> allowed = tokens_of(bits);
      if (step % 7 == 3) {
        for (int32_t token = 0; token < static_cast<int32_t>(tokenizer().vocab_size()); ++token) {
          const auto other = gf::make_filter(grammar, ThinkingMode::off);
          for (const int32_t id : before) other->accept(id);
          bool accepted = true;
          try {
            other->accept(token);
          } catch (const gf::Error&) {
            accepted = false;
          }
          const bool is_allowed = std::binary_search(allowed.begin(), allowed.end(), token);
          // A byte token whose character has a token of its own is left out, though it would fit.
          if (is_allowed || !tokenizer().is_byte_token(token)) REQUIRE(accepted == is_allowed);
        }
      }
      before.push_back(sampler.pick(allowed));
      filter->accept(before.back());
    }
  }
}

TEST_CASE("keywords_that_are_not_understood_are_refused_by_name") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"object","properties":{"a":{"type":"string","pattern":"x"}}})", "pattern"},
      {R"({"type":"object","properties":{"a":{"type":"string","format":"date"}}})", "format"},
      {R"({"type":"object","properties":{"a":{"anyOf":[]}}})", "schema.properties.a"},
      {R"({"type":"object","properties":{"a":{"$ref":"#"}}})", "schema.properties.a"},
      {R"({"type":"object","properties":{"a":{"type":"number","minimum":1}}})", "minimum"},
      {R"({"type":"object","properties":{"a":{"type":["string","null"]}}})", "schema.properties.a.type"},
      {R"({"type":"object","properties":{"a":{"type":"array"}}})", "items"},
      {R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"null"},"uniqueItems":true}}})",
       "uniqueItems"},
      {R"({"type":"object","properties":{"a":{"enum":[]}}})", "enum"},
      {R"({"type":"object","properties":{"a":{"enum":[[1]]}}})", "enum"},
      {R"({"type":"object","properties":{"a":{"type":"string","enum":[1]}}})", "enum"},
      {R"({"type":"object","properties":{"a":{"type":"string","minLength":4,"maxLength":3}}})", "minLength"},
      {R"({"type":"object","properties":{"a":{"type":"string","maxLength":-1}}})", "maxLength"},
      {R"({"type":"object","properties":{"a":{"type":"integer","minimum":1.5}}})", "minimum"},
      {R"({"type":"object","properties":{"a":{"type":"integer","minimum":4,"maximum":3}}})", "minimum"},
      {R"({"type":"object","properties":{},"additionalProperties":true})", "additionalProperties"},
      {R"({"type":"object","properties":{},"required":["a"]})", "required"},
      {R"({"type":"object","properties":{"a":{"type":"null"}},"required":["a","a"]})", "twice"},
      {R"({"type":"object"})", "properties"},
      {R"({"type":"string"})", "root"},
      {R"([])", "schema"},
      {R"({"type":"object","required":["a"],"properties":{"a":{"type":"array","minItems":60000,"items":{"type":"string","minLength":90}}}})",
       "shortest"},
  };
  for (const auto& [schema, name] : cases) {
    INFO(schema);
    const auto error = error_of([&] { gf::compile_schema(json::parse(schema), vocabulary()); });
    CHECK(error.code() == Code::input);
    CHECK(error.message().find(name) != std::string::npos);
  }
}

TEST_CASE("a_schema_deeper_than_the_limit_is_refused") {
  const auto nested = [](int levels) {
    json schema = {{"type", "null"}};
    for (int i = 2; i < levels; ++i) schema = {{"type", "array"}, {"items", schema}};
    return json{{"type", "object"}, {"properties", {{"a", schema}}}};
  };
  CHECK_NOTHROW(gf::compile_schema(nested(16), vocabulary()));
  CHECK(error_of([&] { gf::compile_schema(nested(17), vocabulary()); }).code() == Code::input);
}

TEST_CASE("texts_of_a_schema_are_limited_in_size") {
  const std::string longest(4094, 'x'), too_long(4095, 'x');
  const auto constant = [](const std::string& text) {
    return json{{"type", "object"}, {"properties", {{"a", {{"const", text}}}}}};
  };
  const auto named = [](const std::string& name) {
    return json{{"type", "object"}, {"properties", {{name, {{"type", "null"}}}}}};
  };
  CHECK_NOTHROW(gf::compile_schema(constant(longest), vocabulary()));
  CHECK(error_of([&] { gf::compile_schema(constant(too_long), vocabulary()); }).code() == Code::input);
  CHECK(error_of([&] { gf::compile_schema(named(too_long + "yz"), vocabulary()); }).code() == Code::input);
}

TEST_CASE("mutated_schemas_are_refused_or_obeyed_and_never_crash") {
  Random random(23);
  const std::string original = plan_schema().dump();
  const std::vector<std::string> words = {
      "\"type\"", "\"string\"", "\"object\"", "\"array\"", "\"integer\"",          "\"items\"", "{}",  "[]",
      "null",     "-1",         "0",          "1e9",       "99999999999999999999", "\"a\"",     "true"};
  int refused = 0, obeyed = 0;
  for (uint64_t run = 0; run < 1200; ++run) {
    std::string text = original;
    for (size_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = random() % text.size();
      // Whole words at the places of whole words keep most of them JSON.
      const size_t from = text.find_first_of(":[,", at);
      const size_t end = from == std::string::npos ? from : text.find_first_of(",}]", from + 1);
      if (end != std::string::npos && random() % 4 != 0)
        text.replace(from + 1, end - from - 1, words[random() % words.size()]);
      else
        text[at] = static_cast<char>(' ' + random() % 95);
    }
    try {
      const json schema = gf::parse_json(text, "schema");
      const auto grammar = gf::compile_schema(schema, vocabulary());
      const int64_t least = gf::least_tokens(*grammar, ThinkingMode::off);
      if (least > 3000) continue;
      Sampler sampler(run, static_cast<int>(run % 4));
      INFO(text);
      require_fit(generate(grammar, ThinkingMode::off, least + 20, sampler), schema);
      ++obeyed;
    } catch (const gf::Error& error) {
      REQUIRE(error.code() == Code::input);
      ++refused;
    }
  }
  CHECK(refused > 100);
  CHECK(obeyed > 20);
}

TEST_CASE("members_come_in_the_order_of_required") {
  const json schema =
      json::parse(R"({"type":"object","required":["z","a"],"properties":{"z":{"type":"null"},"a":{"type":"null"}}})");
  const auto grammar = gf::compile_schema(schema, vocabulary());
  Sampler sampler(3, 0);
  const int64_t least = gf::least_tokens(*grammar, ThinkingMode::off);
  const std::string text = generate(grammar, ThinkingMode::off, least, sampler).text;
  CHECK(text.find("\"z\"") < text.find("\"a\""));
}
