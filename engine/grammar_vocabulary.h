// The tokens of one tokenizer, arranged for grammars: as a tree over their bytes, so that a grammar's state is
// tried on each shared prefix once, and as ready masks for the inside of strings, where nearly all tokens fit.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/grammar.h"

namespace gf {

// Nodes in preorder: a node's first child, if any, is the next one; `next` is the node after its subtree.
struct TokenTree {
  struct Node {
    uint8_t byte;
    uint8_t depth;  // 1 for a token's first byte
    uint16_t token_count;
    uint32_t first_token;  // in tokens; those that end here
    uint32_t next;
  };
  std::vector<Node> nodes;
  std::vector<int32_t> tokens;

  explicit TokenTree(std::vector<std::pair<std::string_view, int32_t>> texts);
};

class GrammarVocabulary {
 public:
  // Longer tokens are left out: they are rulers of dashes and spaces that no JSON needs.
  static constexpr size_t kMaxTokenBytes = 64;

  explicit GrammarVocabulary(const Tokenizer& tokenizer);
  [[nodiscard]] size_t size() const { return bytes_begin_.size() - 1; }
  [[nodiscard]] std::string_view bytes(int32_t token) const;
  [[nodiscard]] const TokenTree& all() const { return all_; }
  // Tokens with a quote or a backslash somewhere: the only ones of several bytes that do more inside a string
  // than add to it.
  [[nodiscard]] const TokenTree& breaking() const { return breaking_; }
  // Tokens of 1 to `code_points` whole code points, none of which ends or escapes in a string.
  [[nodiscard]] const std::vector<uint64_t>& plain_in_string(int64_t code_points) const;
  // Byte tokens from 0x80 up.
  [[nodiscard]] const std::vector<int32_t>& high_bytes() const { return high_bytes_; }
  // Everything but special and reserved tokens: what a thought may consist of.
  [[nodiscard]] const std::vector<uint64_t>& text() const { return text_; }
  [[nodiscard]] const std::vector<int32_t>& stops() const { return stops_; }
  [[nodiscard]] int32_t open_channel() const { return open_channel_; }    // -1 if there is none
  [[nodiscard]] int32_t close_channel() const { return close_channel_; }  // -1 if there is none

 private:
  struct Sorted;
  GrammarVocabulary(const Tokenizer& tokenizer, Sorted sorted);
  std::string all_bytes_;
  std::vector<size_t> bytes_begin_;
  TokenTree all_, breaking_;
  std::vector<std::vector<uint64_t>> plain_;  // [n]: up to n code points
  std::vector<uint64_t> text_;
  std::vector<int32_t> high_bytes_, stops_;
  int32_t open_channel_ = -1, close_channel_ = -1;
};

}  // namespace gf
