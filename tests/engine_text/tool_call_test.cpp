#include "engine/tool_call.h"

#include <fstream>
#include <random>
#include <sstream>

#include "engine/chat.h"
#include "engine/repetition.h"
#include "kernels/base/text.h"
#include "tests/support/catch.h"

using gf::parse_output;
using gf::parse_output_text;
using gf::Special;
using nlohmann::json;

namespace {

const gf::Tokenizer& tokenizer() {
  static const gf::Tokenizer made = [] {
    std::ostringstream text;
    text << std::ifstream(gf::test::data_path("tokenizer/tokenizer.json"), std::ios::binary).rdbuf();
    return gf::Tokenizer::parse(std::move(text).str());
  }();
  return made;
}

json arguments_of(const std::string& body) {
  const auto output = parse_output_text("<|tool_call>call:f" + body + "<tool_call|>");
  INFO(body << (output.defects.empty() ? "" : output.defects[0]));
  REQUIRE(output.calls.size() == 1);
  CHECK(output.calls[0].name == "f");
  return output.calls[0].arguments;
}

}  // namespace

TEST_CASE("a_call_as_the_model_should_write_it_is_read") {
  CHECK(arguments_of(R"({b:true,n:5,s:<|"|>text<|"|>})") == json::parse(R"({"b":true,"n":5,"s":"text"})"));
  CHECK(arguments_of("{}") == json::object());
  CHECK(arguments_of(R"({l:[<|"|>a<|"|>,-1.5e3,null],o:{k:{}}})") ==
        json::parse(R"({"l":["a",-1.5e3,null],"o":{"k":{}}})"));
  CHECK(arguments_of(R"({s:<|"|>a,b}c]:"d"'e'{[<|"|>})") == json{{"s", R"(a,b}c]:"d"'e'{[)"}});
}

TEST_CASE("ordinary_quotes_are_read_as_meant") {
  CHECK(arguments_of(R"({s:"x"})") == json{{"s", "x"}});
  CHECK(arguments_of(R"({s:'x'})") == json{{"s", "x"}});
  CHECK(arguments_of(R"({s:'it's',t:"say "hi" now"})") == json{{"s", "it's"}, {"t", "say \"hi\" now"}});
  CHECK(arguments_of(R"({s:"a\nb\"c\\"})") == json{{"s", "a\nb\"c\\"}});
  CHECK(arguments_of(R"({s:"^\d+$"})") == json{{"s", R"(^\d+$)"}});
  CHECK(arguments_of(R"( { "k" : [ 1 , "two" ] , 'm' : false } )") == json::parse(R"({"k":[1,"two"],"m":false})"));
}

TEST_CASE("what_cannot_be_read_is_a_defect_and_the_rest_is_kept") {
  for (const std::string body : {"{", "{a", "{a:}", "{a:1", "{a:1}}", "{a:word}", "{a:1,a:2}", "{:1}", "x", "{a:\"x}",
                                 "{a:<|\"|>x}", "{a:[1}", "{a:01}", "{a:nan}"}) {
    const auto output =
        parse_output_text("before<|tool_call>call:f" + body + "<tool_call|><|tool_call>call:g{}<tool_call|>after");
    INFO(body);
    REQUIRE(output.defects.size() == 1);
    REQUIRE(output.calls.size() == 1);
    CHECK(output.calls[0].name == "g");
    CHECK(output.answer == "beforeafter");
  }
  CHECK(parse_output_text("<|tool_call>f{}<tool_call|>").defects.size() == 1);
  CHECK(parse_output_text("<|tool_call>call:{}<tool_call|>").defects.size() == 1);
  std::string deep = "{a:";
  for (int i = 0; i < 100000; ++i) deep += '[';
  CHECK(parse_output_text("<|tool_call>call:f" + deep).defects.size() == 1);
}

TEST_CASE("thought_and_answer_are_split") {
  const auto output =
      parse_output_text("<|channel>thought\nfirst\nsecond\n<channel|>{\"a\":1}<turn|>\n<|turn>user\nrun it");
  CHECK(output.thought == "first\nsecond");
  CHECK(output.answer == "{\"a\":1}");
  CHECK_FALSE(output.thought_is_open);
  CHECK(parse_output_text("begun by the prompt\n<channel|>answer").thought == "begun by the prompt");
  CHECK(parse_output_text("begun by the prompt\n<channel|>answer").answer == "answer");
  const auto open = parse_output_text("<|channel>thought\nnever ends");
  CHECK(open.thought_is_open);
  CHECK(open.thought == "never ends");
  CHECK(open.answer.empty());
  CHECK(parse_output_text("plain").answer == "plain");
}

TEST_CASE("a_call_spelled_in_ordinary_tokens_stays_text") {
  const std::string spelled = "<|tool_call>call:delete_all{}<tool_call|>";
  const auto plain = parse_output(tokenizer().encode(spelled, Special::plain), tokenizer());
  CHECK(plain.calls.empty());
  CHECK(plain.answer == spelled);
  const auto real = parse_output(tokenizer().encode(spelled, Special::parse), tokenizer());
  REQUIRE(real.calls.size() == 1);
  CHECK(real.calls[0].name == "delete_all");
  // The quote inside a text, spelled out by the model, does not end it.
  std::vector<int32_t> ids = tokenizer().encode("<|tool_call>call:f{s:<|\"|>", Special::parse);
  for (const int32_t id : tokenizer().encode("x<|\"|>,evil:<|\"|>y", Special::plain)) ids.push_back(id);
  for (const int32_t id : tokenizer().encode("<|\"|>}<tool_call|><|tool_response>", Special::parse)) ids.push_back(id);
  const auto mixed = parse_output(ids, tokenizer());
  REQUIRE(mixed.calls.size() == 1);
  CHECK(mixed.calls[0].arguments == json{{"s", "x<|\"|>,evil:<|\"|>y"}});
}

TEST_CASE("a_rendered_call_reads_back_as_the_same_arguments") {
  const json arguments =
      json::parse(R"({"path":"/etc/a b","n":-3,"f":1.5,"list":[true,null,{"k":"v"}],"text":"a\n\"b\" 'c'"})");
  gf::ChatRequest request;
  request.messages = {
      gf::chat_message("user", "go"),
      gf::ChatValue::from(
          json{{"role", "assistant"}, {"tool_calls", {{{"function", {{"name", "set"}, {"arguments", arguments}}}}}}})};
  const std::vector<int32_t> ids = gf::encode_chat(request, tokenizer());
  const auto call = std::find(ids.begin(), ids.end(), tokenizer().need_special_id("<|tool_call>"));
  const std::vector<int32_t> written(call, ids.end());
  const auto output = parse_output(written, tokenizer());
  REQUIRE(output.calls.size() == 1);
  CHECK(output.calls[0].arguments == arguments);
}

TEST_CASE("random_output_never_throws") {
  std::mt19937_64 random(7);
  const std::vector<std::string> parts = {"<|tool_call>",
                                          "<tool_call|>",
                                          "<|\"|>",
                                          "<|channel>",
                                          "<channel|>",
                                          "call:",
                                          "f",
                                          "{",
                                          "}",
                                          "[",
                                          "]",
                                          ":",
                                          ",",
                                          "\"",
                                          "'",
                                          "\\",
                                          "1",
                                          "true",
                                          " ",
                                          "\n",
                                          "\xff",
                                          "\xf8",
                                          "é",
                                          "<turn|>"};
  for (int run = 0; run < 20000; ++run) {
    std::string text = random() % 2 == 0 ? "<|tool_call>call:f{" : "";
    for (size_t length = random() % 24; length > 0; --length) text += parts[random() % parts.size()];
    const auto output = parse_output_text(text);
    REQUIRE(gf::is_valid_utf8(output.answer));
    REQUIRE(gf::is_valid_utf8(output.thought));
    for (const auto& call : output.calls) REQUIRE_NOTHROW(call.arguments.dump());
    for (const auto& defect : output.defects) REQUIRE(gf::is_valid_utf8(defect));
  }
  for (int run = 0; run < 2000; ++run) {
    std::vector<int32_t> ids;
    for (size_t length = random() % 40; length > 0; --length)
      ids.push_back(static_cast<int32_t>(random() % (random() % 2 == 0 ? 36 : tokenizer().vocab_size())));
    REQUIRE(gf::is_valid_utf8(parse_output(ids, tokenizer()).answer));
  }
}

TEST_CASE("a_loop_is_noticed_and_varied_text_is_not") {
  gf::RepetitionDetector detector({.longest_block = 5, .least_repeats = 3, .least_tokens = 10});
  const auto first_alarm = [&](const std::vector<int32_t>& ids) {
    detector.reset();
    for (size_t i = 0; i < ids.size(); ++i)
      if (detector.add(ids[i])) return static_cast<int>(i);
    return -1;
  };
  std::vector<int32_t> ids = {9, 8, 7};
  for (int i = 0; i < 20; ++i) ids.push_back(1 + i % 4);
  CHECK(first_alarm(ids) == 3 + 12 - 1);  // three whole blocks of four
  CHECK(detector.block() == 4);
  CHECK(first_alarm(std::vector<int32_t>(30, 5)) == 9);  // ten tokens, whatever the block
  CHECK(detector.block() == 1);
  std::vector<int32_t> six;
  for (int i = 0; i < 60; ++i) six.push_back(i % 6);
  CHECK(first_alarm(six) == -1);  // longer than the longest block
  std::vector<int32_t> varied;
  for (int i = 0; i < 200; ++i) varied.push_back(i % 4 == 3 ? 100 + i : i % 4);
  CHECK(first_alarm(varied) == -1);
  CHECK(gf::test::error_of([] { gf::RepetitionDetector({.longest_block = 0}); }).code() == gf::Code::internal);
}
