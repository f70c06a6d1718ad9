// The filter that the sampler asks: thought, then JSON by its form, then the end.
#include "engine/grammar.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/grammar_state.h"
#include "engine/grammar_vocabulary.h"
#include "engine/json_schema.h"
#include "kernels/base/error.h"

namespace gf {

class Grammar {
 public:
  std::shared_ptr<const GrammarVocabulary> vocabulary;
  std::unique_ptr<SchemaForm> root;
};

namespace {

void set_bit(std::span<uint64_t> bits, int32_t token) {
  bits[static_cast<size_t>(token) / 64] |= uint64_t{1} << (static_cast<size_t>(token) % 64);
}

void add_bits(std::span<uint64_t> bits, const std::vector<uint64_t>& more) {
  for (size_t i = 0; i < more.size(); ++i) bits[i] |= more[i];
}

int64_t channel_tokens(ThinkingMode thinking) {
  return thinking == ThinkingMode::on ? 2 : thinking == ThinkingMode::open ? 1 : 0;
}

class Filter final : public TokenFilter {
 public:
  Filter(std::shared_ptr<const Grammar> grammar, ThinkingMode thinking)
      : grammar_(std::move(grammar)),
        vocabulary_(*grammar_->vocabulary),
        state_(*grammar_->root),
        path_(GrammarVocabulary::kMaxTokenBytes + 1) {
    phase_ = thinking == ThinkingMode::off  ? Phase::json
             : thinking == ThinkingMode::on ? Phase::opening
                                            : Phase::thought;
    const bool lacks_open = thinking == ThinkingMode::on && vocabulary_.open_channel() < 0;
    if (lacks_open || (thinking != ThinkingMode::off && vocabulary_.close_channel() < 0))
      throw Error(Code::input,
                  "the tokenizer has no special tokens \"<|channel>\" and \"<channel|>\": it cannot think");
  }

  void allowed(std::span<uint64_t> bits, int64_t tokens_left) override {
    if (bits.size() < (vocabulary_.size() + 63) / 64)
      throw Error(Code::internal, "a mask of ", bits.size(), " words for ", vocabulary_.size(), " tokens");
    std::fill(bits.begin(), bits.end(), 0);
    if (first_tokens_left_ < 0) begin(tokens_left);
    if (phase_ == Phase::done)
      for (const int32_t stop : vocabulary_.stops()) set_bit(bits, stop);
    else if (phase_ == Phase::opening)
      set_bit(bits, vocabulary_.open_channel());
    else if (phase_ == Phase::thought)
      allow_thought(bits, tokens_left);
    else
      allow_json(bits, tokens_left);
  }

  void accept(int32_t token) override {
    switch (phase_) {
      case Phase::opening:
        if (token != vocabulary_.open_channel()) refuse(token);
        phase_ = Phase::thought;
        return;
      case Phase::thought:
        if (token == vocabulary_.close_channel())
          phase_ = Phase::json;
        else if (!is_text(token))
          refuse(token);
        return;
      case Phase::json:
        if (!is_text(token)) refuse(token);
        for (const char byte : vocabulary_.bytes(token))
          if (!state_.step(static_cast<uint8_t>(byte))) refuse(token);
        if (state_.is_complete()) phase_ = Phase::done;
        return;
      case Phase::done:
        if (std::find(vocabulary_.stops().begin(), vocabulary_.stops().end(), token) == vocabulary_.stops().end())
          refuse(token);
    }
  }

  [[nodiscard]] bool done() const override { return phase_ == Phase::done; }

 private:
  enum class Phase { opening, thought, json, done };

  [[noreturn]] static void refuse(int32_t token) {
    throw Error(Code::internal, "token ", token, " was not among the ones that the grammar allowed");
  }
  [[nodiscard]] bool is_text(int32_t token) const {
    const auto index = static_cast<size_t>(token);
    return token >= 0 && index < vocabulary_.size() && (vocabulary_.text()[index / 64] >> (index % 64) & 1) != 0;
  }

  // Before the first mask: can the rest be written at all?
  void begin(int64_t tokens_left) {
    first_tokens_left_ = tokens_left;
    if (phase_ == Phase::done) return;
    const int64_t json_least = state_.cost();
    const int64_t least = json_least + (phase_ == Phase::opening ? 2 : phase_ == Phase::thought ? 1 : 0);
    if (tokens_left < least)
      throw Error(Code::input, "the shortest text of this schema is promised in ", least, " tokens, and ", tokens_left,
                  " are left: allow more tokens for the answer");
    json_reserve_ = std::max(json_least, tokens_left / 2);
  }

  void allow_thought(std::span<uint64_t> bits, int64_t tokens_left) {
    set_bit(bits, vocabulary_.close_channel());
    if (tokens_left - 2 >= json_reserve_) add_bits(bits, vocabulary_.text());
  }

  void allow_json(std::span<uint64_t> bits, int64_t tokens_left) {
    const int64_t affordable = tokens_left - 1;
    const int64_t room = state_.string_room();
    if (room < 0) {
      walk(vocabulary_.all(), affordable, bits);
    } else if (!allow_from_cache(affordable, room, bits)) {
      // A plain token never costs more than standing still, and less while code points are missing.
      const int64_t cost = state_.cost();
      if (affordable >= cost || (affordable == cost - 1 && state_.string_need() > 0))
        add_bits(bits, vocabulary_.plain_in_string(room));
      allow_breaking(affordable, bits);
    }
    if (std::all_of(bits.begin(), bits.end(), [](uint64_t word) { return word == 0; }))
      throw Error(Code::internal, "the grammar allows no token with ", tokens_left, " left, and the text costs ",
                  state_.cost());
  }

  // Deep inside a long string, with tokens to spare, the mask is the same from token to token.
  bool allow_from_cache(int64_t affordable, int64_t room, std::span<uint64_t> bits) {
    const auto longest = static_cast<int64_t>(GrammarVocabulary::kMaxTokenBytes);
    if (room < longest || state_.string_need() > 0) return false;
    if (cached_bits_.empty() || !state_.is_in_same_string(cached_state_)) {
      cached_state_ = state_;
      cached_bits_ = vocabulary_.plain_in_string(room);
      cached_cost_ = std::max(state_.cost(), allow_breaking(INT64_MAX, cached_bits_));
    }
    if (affordable < cached_cost_) return false;
    add_bits(bits, cached_bits_);
    return true;
  }

  // Tokens that do more inside a string than add whole characters. Returns the highest cost after one of them.
  int64_t allow_breaking(int64_t affordable, std::span<uint64_t> bits) {
    int64_t highest = walk(vocabulary_.breaking(), affordable, bits);
    for (const int32_t token : vocabulary_.high_bytes()) {
      path_[1] = state_;
      if (!path_[1].step(static_cast<uint8_t>(vocabulary_.bytes(token)[0]))) continue;
      const int64_t cost = path_[1].cost();
      if (cost > affordable) continue;
      highest = std::max(highest, cost);
      set_bit(bits, token);
    }
    return highest;
  }

  // The same for all tokens of a tree.
  int64_t walk(const TokenTree& tree, int64_t affordable, std::span<uint64_t> bits) {
    int64_t highest = 0;
    path_[0] = state_;
    for (uint32_t i = 0; i < tree.nodes.size();) {
      const TokenTree::Node& node = tree.nodes[i];
      GrammarState& state = path_[node.depth];
      state = path_[node.depth - 1u];
      if (!state.step(node.byte)) {
        i = node.next;
        continue;
      }
      ++i;
      if (node.token_count == 0) continue;
      const int64_t cost = state.cost();
      if (cost > affordable) continue;
      highest = std::max(highest, cost);
      for (uint32_t t = 0; t < node.token_count; ++t) set_bit(bits, tree.tokens[node.first_token + t]);
    }
    return highest;
  }

  std::shared_ptr<const Grammar> grammar_;
  const GrammarVocabulary& vocabulary_;
  Phase phase_;
  GrammarState state_;
  std::vector<GrammarState> path_;  // by depth in the token tree
  int64_t first_tokens_left_ = -1;
  int64_t json_reserve_ = 0;
  // What allow_from_cache() found last: where, which tokens, and what the costliest of them leads to.
  GrammarState cached_state_;
  std::vector<uint64_t> cached_bits_;
  int64_t cached_cost_ = 0;
};

}  // namespace

std::shared_ptr<const GrammarVocabulary> make_grammar_vocabulary(const Tokenizer& tokenizer) {
  return std::make_shared<const GrammarVocabulary>(tokenizer);
}

std::shared_ptr<const Grammar> compile_schema(const nlohmann::json& schema,
                                              std::shared_ptr<const GrammarVocabulary> vocabulary) {
  auto grammar = std::make_shared<Grammar>();
  grammar->root = read_schema(schema, *vocabulary);
  grammar->vocabulary = std::move(vocabulary);
  return grammar;
}

std::shared_ptr<const Grammar> compile_schema(const nlohmann::json& schema, const Tokenizer& tokenizer) {
  return compile_schema(schema, make_grammar_vocabulary(tokenizer));
}

int64_t least_tokens(const Grammar& grammar, ThinkingMode thinking) {
  return grammar.root->least + channel_tokens(thinking);
}

std::shared_ptr<TokenFilter> make_filter(std::shared_ptr<const Grammar> grammar, ThinkingMode thinking) {
  return std::make_shared<Filter>(std::move(grammar), thinking);
}

}  // namespace gf
