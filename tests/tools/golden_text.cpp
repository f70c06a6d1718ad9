#include "tests/tools/golden_text.h"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>

#include "engine/chat.h"
#include "engine/tokenizer.h"
#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::io, "cannot open ", path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

template <typename F>
size_t for_each_line(const fs::path& path, F&& f) {
  std::istringstream lines(read_text(path));
  size_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    ++count;
    f(line);
  }
  if (count == 0) throw Error(Code::input, path.string(), ": no case in it");
  return count;
}

// Thrown with the whole sentence; caught where the verdict is printed.
[[noreturn]] void differs(const std::string& name, std::string_view what, const std::string& expected,
                          const std::string& found) {
  throw Error(Code::findings, "case ", name, ": ", what, " differs\n  expected ", printable(shortened(expected, 4000)),
              "\n  found    ", printable(shortened(found, 4000)));
}

std::string ids_text(const std::vector<int32_t>& ids) {
  std::ostringstream text;
  for (const int32_t id : ids) text << id << ' ';
  return std::move(text).str();
}

void same_ids(const std::string& name, std::string_view what, const json& expected, const std::vector<int32_t>& found) {
  const auto wanted = expected.get<std::vector<int32_t>>();
  if (wanted != found) differs(name, what, ids_text(wanted), ids_text(found));
}

void same_text(const std::string& name, std::string_view what, const std::string& expected, const std::string& found) {
  if (expected != found) differs(name, what, expected, found);
}

std::string sha256_hex(const void* data, size_t bytes) {
  std::array<unsigned char, 32> digest{};
  unsigned length = 0;
  if (EVP_Digest(data, bytes, digest.data(), &length, EVP_sha256(), nullptr) != 1 || length != digest.size())
    throw Error(Code::internal, "cannot compute a SHA-256");
  std::string hex;
  for (const unsigned char byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

void check_long_line(const Tokenizer& tokenizer, const json& line) {
  const auto name = line.at("name").get<std::string>();
  const auto piece = line.at("piece").get<std::string>();
  std::string text;
  for (int64_t i = line.at("repeat").get<int64_t>(); i > 0; --i) text += piece;
  const std::vector<int32_t> ids = tokenizer.encode(text, Special::parse);
  const auto ends = static_cast<std::ptrdiff_t>(std::min<size_t>(16, ids.size()));
  same_ids(name, "first", line.at("first"), {ids.begin(), ids.begin() + ends});
  same_ids(name, "last", line.at("last"), {ids.end() - ends, ids.end()});
  same_text(name, "n_ids", std::to_string(line.at("n_ids").get<size_t>()), std::to_string(ids.size()));
  same_text(name, "ids_sha256", line.at("ids_sha256").get<std::string>(),
            sha256_hex(ids.data(), ids.size() * sizeof(int32_t)));
  const std::string decoded = tokenizer.decode(ids);
  same_text(name, "decoded_sha256", line.at("decoded_sha256").get<std::string>(),
            sha256_hex(decoded.data(), decoded.size()));
}

void check_encoding(const Tokenizer& tokenizer, const json& line) {
  if (line.contains("piece")) return check_long_line(tokenizer, line);
  const auto name = line.at("name").get<std::string>();
  const auto text = line.at("text").get<std::string>();
  const std::vector<int32_t> ids = tokenizer.encode(text, Special::parse);
  same_ids(name, "ids", line.at("ids"), ids);
  // Lines about add_special_tokens say nothing about plain parsing.
  if (!line.value("add_special_tokens", false)) {
    const char* plain = line.contains("ids_no_special_parse") ? "ids_no_special_parse" : "ids";
    same_ids(name, "ids_no_special_parse", line.at(plain), tokenizer.encode(text, Special::plain));
  }
  const auto decoded = line.at("decoded").get<std::string>();
  same_text(name, "decoded", decoded, tokenizer.decode(ids));
  same_text(name, "decoded_skip_special", line.value("decoded_skip_special", decoded),
            tokenizer.decode(ids, ShowSpecial::skip));
}

void check_decoding(const Tokenizer& tokenizer, const json& line) {
  const auto name = line.at("name").get<std::string>();
  const auto ids = line.at("ids").get<std::vector<int32_t>>();
  const auto decoded = line.at("decoded").get<std::string>();
  same_text(name, "decoded", decoded, tokenizer.decode(ids));
  const auto skipped = line.value("decoded_skip_special", decoded);
  same_text(name, "decoded_skip_special", skipped, tokenizer.decode(ids, ShowSpecial::skip));

  const auto stream = line.at("stream").get<std::vector<std::string>>();
  if (stream.size() != ids.size() + 1)
    throw Error(Code::input, "case ", name, ": stream must have one more entry than ids");
  Tokenizer::Stream all(tokenizer), plain(tokenizer, ShowSpecial::skip);
  std::string without_specials;
  for (size_t i = 0; i < ids.size(); ++i) {
    same_text(name, "stream[" + std::to_string(i) + "]", stream[i], all.add(ids[i]));
    without_specials += plain.add(ids[i]);
  }
  same_text(name, "the end of stream", stream.back(), all.finish());
  same_text(name, "stream without special tokens", skipped, without_specials + plain.finish());
}

ChatRequest request_of(const ChatValue& line) {
  const auto flag = [&](std::string_view key) {
    const ChatValue* value = line.find(key);
    return value != nullptr && value->is_true();
  };
  ChatRequest request;
  if (const ChatValue* messages = line.find("messages")) request.messages = messages->items;
  if (const ChatValue* tools = line.find("tools")) request.tools = tools->items;
  request.thinking = flag("enable_thinking") ? Thinking::on : Thinking::off;
  request.preserve_thinking = flag("preserve_thinking");
  request.add_generation_prompt = flag("add_generation_prompt");
  request.continue_final_message = flag("continue_final_message");
  return request;
}

void check_conversation(const std::string& text) {
  const ChatValue line = ChatValue::parse(text, "cases.jsonl");
  const std::string name = line.find("name")->text;
  ChatRequest request = request_of(line);
  if (line.find("error") != nullptr) {
    std::string found;
    try {
      found = chat_text(render_chat(request));
    } catch (const Error& error) {
      if (error.code() == Code::input) return;
      throw;
    }
    differs(name, "the verdict", "a refusal: " + line.find("error")->text, found);
  }
  const std::string large = line.find("rendered")->text;
  same_text(name, "rendered", large, chat_text(render_chat(request)));
  request.family = ChatFamily::small;
  const ChatValue* small = line.find("rendered_small");
  same_text(name, "rendered_small", small != nullptr ? small->text : large, chat_text(render_chat(request)));
}

template <typename F>
int verdict(std::string_view kind, const fs::path& dir, F&& check) {
  try {
    const size_t cases = check();
    std::cout << kind << ' ' << dir.string() << ": " << cases << " cases equal\n";
    return 0;
  } catch (const Error& error) {
    std::cout << kind << ' ' << dir.string() << ": " << error.what() << '\n';
  } catch (const json::exception& error) {
    std::cout << kind << ' ' << dir.string() << ": a case is not as expected: " << error.what() << '\n';
  }
  return 1;
}

}  // namespace

int check_tokenizer_golden(const fs::path& dir) {
  return verdict("tokenizer", dir, [&] {
    const Tokenizer tokenizer = Tokenizer::parse(read_text(dir / "tokenizer.json"), (dir / "tokenizer.json").string());
    size_t cases = for_each_line(dir / "cases.jsonl",
                                 [&](const std::string& line) { check_encoding(tokenizer, json::parse(line)); });
    cases += for_each_line(dir / "decode_cases.jsonl",
                           [&](const std::string& line) { check_decoding(tokenizer, json::parse(line)); });
    return cases;
  });
}

int check_chat_golden(const fs::path& dir) {
  return verdict("chat", dir, [&] { return for_each_line(dir / "cases.jsonl", check_conversation); });
}

}  // namespace gf
