#include "engine/grammar_vocabulary.h"

#include <algorithm>
#include <set>

#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using Text = std::pair<std::string_view, int32_t>;

// "<unused17>": a place that no training filled.
bool is_reserved(std::string_view text) {
  constexpr std::string_view start = "<unused";
  if (text.size() <= start.size() + 1 || text.substr(0, start.size()) != start || text.back() != '>') return false;
  const std::string_view number = text.substr(start.size(), text.size() - start.size() - 1);
  return number.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_plain_in_string(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; });
}

size_t code_points(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80; }));
}

void set_bit(std::vector<uint64_t>& bits, int32_t token) {
  bits[static_cast<size_t>(token) / 64] |= uint64_t{1} << (static_cast<size_t>(token) % 64);
}

}  // namespace

TokenTree::TokenTree(std::vector<Text> texts) {
  std::sort(texts.begin(), texts.end());
  std::vector<uint32_t> path;  // nodes of the text before, by depth
  std::string_view before;
  const auto close_to = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) nodes[path.back()].next = static_cast<uint32_t>(nodes.size());
  };
  for (const auto& [text, token] : texts) {
    const auto shared =
        static_cast<size_t>(std::mismatch(text.begin(), text.end(), before.begin(), before.end()).first - text.begin());
    if (shared < text.size() || path.empty()) {
      close_to(shared);
      for (size_t at = shared; at < text.size(); ++at) {
        path.push_back(static_cast<uint32_t>(nodes.size()));
        nodes.push_back(
            {static_cast<uint8_t>(text[at]), static_cast<uint8_t>(at + 1), 0, static_cast<uint32_t>(tokens.size()), 0});
      }
    }
    // Equal texts follow each other, before any longer one.
    if (nodes[path.back()].token_count < UINT16_MAX) {
      ++nodes[path.back()].token_count;
      tokens.push_back(token);
    }
    before = text;
  }
  close_to(0);
}

struct GrammarVocabulary::Sorted {
  std::vector<Text> all, breaking;

  explicit Sorted(const Tokenizer& tokenizer) {
    const auto count = static_cast<int32_t>(tokenizer.vocab_size());
    std::set<std::string_view> single;  // ASCII characters with a token of their own
    for (int32_t id = 0; id < count; ++id)
      if (!tokenizer.is_special(id) && !tokenizer.is_byte_token(id) && tokenizer.token_bytes(id).size() == 1)
        single.insert(tokenizer.token_bytes(id));
    for (int32_t id = 0; id < count; ++id) {
      const std::string_view bytes = tokenizer.token_bytes(id);
      const bool second_spelling = tokenizer.is_byte_token(id) && single.contains(bytes);
      if (tokenizer.is_special(id) || second_spelling || bytes.size() > kMaxTokenBytes || is_reserved(bytes)) continue;
      all.emplace_back(bytes, id);
      if (bytes.find_first_of("\"\\") != std::string_view::npos) breaking.emplace_back(bytes, id);
    }
  }
};

GrammarVocabulary::GrammarVocabulary(const Tokenizer& tokenizer) : GrammarVocabulary(tokenizer, Sorted(tokenizer)) {}

GrammarVocabulary::GrammarVocabulary(const Tokenizer& tokenizer, Sorted sorted)
    : all_(sorted.all), breaking_(std::move(sorted.breaking)) {
  const size_t words = (tokenizer.vocab_size() + 63) / 64;
  bytes_begin_.push_back(0);
  for (size_t id = 0; id < tokenizer.vocab_size(); ++id) {
    all_bytes_ += tokenizer.token_bytes(static_cast<int32_t>(id));
    bytes_begin_.push_back(all_bytes_.size());
  }
  text_.assign(words, 0);
  plain_.assign(kMaxTokenBytes + 1, std::vector<uint64_t>(words, 0));
  size_t longest = 1;
  for (const auto& [bytes, id] : sorted.all) {
    set_bit(text_, id);
    const bool high_byte = tokenizer.is_byte_token(id) && static_cast<unsigned char>(bytes[0]) >= 0x80;
    if (high_byte) high_bytes_.push_back(id);
    if (high_byte || !is_plain_in_string(bytes)) continue;
    const size_t length = code_points(bytes);
    longest = std::max(longest, length);
    set_bit(plain_[length], id);
  }
  plain_.resize(longest + 1);
  for (size_t length = 1; length <= longest; ++length)
    for (size_t word = 0; word < words; ++word) plain_[length][word] |= plain_[length - 1][word];

  for (const std::string_view stop : {"<turn|>", "<eos>"})
    if (const auto id = tokenizer.special_id(stop)) stops_.push_back(*id);
  open_channel_ = tokenizer.special_id("<|channel>").value_or(-1);
  close_channel_ = tokenizer.special_id("<channel|>").value_or(-1);
}

std::string_view GrammarVocabulary::bytes(int32_t token) const {
  const auto index = static_cast<size_t>(token);
  if (token < 0 || index >= size()) throw Error(Code::internal, "token ", token, " is outside the vocabulary");
  return std::string_view(all_bytes_).substr(bytes_begin_[index], bytes_begin_[index + 1] - bytes_begin_[index]);
}

const std::vector<uint64_t>& GrammarVocabulary::plain_in_string(int64_t code_points) const {
  const auto longest = static_cast<int64_t>(plain_.size()) - 1;
  return plain_[static_cast<size_t>(std::clamp<int64_t>(code_points, 0, longest))];
}

}  // namespace gf
