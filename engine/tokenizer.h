// Text to token ids and back: byte-pair encoding as `tokenizer.json` of Gemma checkpoints describes it
// (the file format of the Hugging Face `tokenizers` library, version "1.0").
//
// Encoding, in this order: added tokens are cut out of the raw text (leftmost, then longest); in what is
// left every space becomes U+2581; a code point without a token of its own becomes its bytes <0xHH>; then
// the neighbouring pair with the lowest rank is joined, leftmost first, until no pair has a rank.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

// parse: the text of a special token becomes that token. plain: it is text like any other; everything that
// we did not write ourselves is encoded so. Added tokens that are not special are matched in both.
enum class Special { parse, plain };
enum class ShowSpecial { show, skip };

class Tokenizer {
 public:
  // Throws Code::input, naming `what`, for a file that is not a tokenizer of this kind: a model, normalizer,
  // pre-tokenizer or decoder that is not implemented is refused by its name.
  static Tokenizer parse(std::string_view tokenizer_json, std::string_view what = "tokenizer.json");
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // No BOS is added: it is part of the text. Bytes that are not UTF-8 become their byte tokens.
  // Time grows as n log n with the length of the text, whatever is in it.
  [[nodiscard]] std::vector<int32_t> encode(std::string_view text, Special special) const;

  // Always well-formed UTF-8: a run of byte tokens is shown as text if all of it is valid, otherwise every
  // byte of it becomes U+FFFD. Throws Code::input for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const int32_t> ids, ShowSpecial show = ShowSpecial::show) const;

  // The same decoding one id at a time: what add() and finish() return, joined, equals decode(), and nothing
  // shown is ever taken back, so a run of byte tokens is held until it ends. Keeps a pointer to the tokenizer.
  class Stream {
   public:
    explicit Stream(const Tokenizer& tokenizer, ShowSpecial show = ShowSpecial::show)
        : tokenizer_(&tokenizer), show_(show) {}
    std::string add(int32_t id);
    std::string finish();

   private:
    const Tokenizer* tokenizer_;
    ShowSpecial show_;
    std::string bytes_;  // the run of byte tokens that has not ended yet
  };

  // Number of tokens; ids are 0 .. vocab_size() - 1.
  [[nodiscard]] size_t vocab_size() const;
  // The id of a special token by its text, for example "<|turn>".
  [[nodiscard]] std::optional<int32_t> special_id(std::string_view content) const;
  // The same, for a token that must be there. Throws Code::input naming it.
  [[nodiscard]] int32_t need_special_id(std::string_view content) const;
  [[nodiscard]] bool is_special(int32_t id) const;
  // What the token adds to the decoded bytes: one byte for a byte token, otherwise its text with spaces for
  // U+2581. The view lives as long as the tokenizer.
  [[nodiscard]] std::string_view token_bytes(int32_t id) const;
  [[nodiscard]] bool is_byte_token(int32_t id) const;

  // One stretch of raw text between special tokens, or a special token (id >= 0, text empty).
  struct Cut {
    std::string_view text;
    int32_t id = -1;
  };
  // Cuts at special tokens only, in order; for callers that mix texts with and without specials.
  [[nodiscard]] std::vector<Cut> cut_at_specials(std::string_view text) const;

 private:
  struct Tables;
  explicit Tokenizer(std::unique_ptr<Tables> tables);
  std::unique_ptr<Tables> tables_;
};

}  // namespace gf
