// The tables of one tokenizer, and encoding and decoding over them.
#include "engine/tokenizer.h"

#include <array>
#include <bit>
#include <limits>
#include <unordered_map>

#include "engine/tokenizer_bpe.h"
#include "engine/tokenizer_file.h"
#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";
constexpr std::string_view kReplacement = "\uFFFD";

// "<0x4F>" -> 0x4F, as the ByteFallback decoder reads it.
std::optional<uint8_t> byte_of(std::string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : text.substr(3, 2)) {
    unsigned digit = 0;
    if (c >= '0' && c <= '9')
      digit = static_cast<unsigned>(c - '0');
    else if (c >= 'A' && c <= 'F')
      digit = static_cast<unsigned>(c - 'A') + 10;
    else if (c >= 'a' && c <= 'f')
      digit = static_cast<unsigned>(c - 'a') + 10;
    else
      return std::nullopt;
    value = value * 16 + digit;
  }
  return static_cast<uint8_t>(value);
}

std::string hex_name(unsigned byte) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  return std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">";
}

std::string with_spaces(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool mark = text.substr(at, kSpaceMark.size()) == kSpaceMark;
    out += mark ? ' ' : text[at];
    at += mark ? kSpaceMark.size() : 1;
  }
  return out;
}

// Length of the well-formed UTF-8 sequence at the front of text; 0 if there is none.
size_t code_point_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  return length <= text.size() && is_valid_utf8(text.substr(0, length)) ? length : 0;
}

// Texts of added tokens by their bytes: the longest one that starts at a given place.
class AddedTrie {
 public:
  void add(std::string_view text, int32_t id) {
    uint32_t node = 0;
    for (const char c : text) {
      const auto [entry, is_new] = children_.try_emplace(edge(node, c), static_cast<uint32_t>(ids_.size()));
      if (is_new) ids_.push_back(-1);
      node = entry->second;
    }
    starts_[static_cast<unsigned char>(text[0])] = true;
    ids_[node] = id;
  }
  struct Match {
    int32_t id = -1;
    size_t length = 0;
  };
  [[nodiscard]] Match longest(std::string_view text) const {
    Match best;
    if (!starts_[static_cast<unsigned char>(text[0])]) return best;
    uint32_t node = 0;
    for (size_t at = 0; at < text.size(); ++at) {
      const auto child = children_.find(edge(node, text[at]));
      if (child == children_.end()) break;
      node = child->second;
      if (ids_[node] >= 0) best = {ids_[node], at + 1};
    }
    return best;
  }

 private:
  static uint64_t edge(uint32_t node, char c) { return uint64_t{node} << 8 | static_cast<unsigned char>(c); }
  std::unordered_map<uint64_t, uint32_t> children_;
  std::vector<int32_t> ids_{-1};
  std::array<bool, 256> starts_{};
};

// Text -> id, for the million look-ups of loading: open addressing, at most half full.
class TextIndex {
 public:
  explicit TextIndex(size_t texts) : slots_(std::bit_ceil(2 * texts + 2), Slot{{}, -1}) {}
  // The id that the text has; `id` if it is new.
  int32_t add(std::string_view text, int32_t id) {
    Slot& slot = slots_[slot_of(text)];
    if (slot.id < 0) slot = {text, id};
    return slot.id;
  }
  [[nodiscard]] int32_t find(std::string_view text) const { return slots_[slot_of(text)].id; }  // -1: not there

 private:
  struct Slot {
    std::string_view text;
    int32_t id;
  };
  [[nodiscard]] size_t slot_of(std::string_view text) const {
    size_t slot = std::hash<std::string_view>()(text) & (slots_.size() - 1);
    while (slots_[slot].id >= 0 && slots_[slot].text != text) slot = (slot + 1) & (slots_.size() - 1);
    return slot;
  }
  std::vector<Slot> slots_;
};

}  // namespace

struct Tokenizer::Tables {
  enum class Kind : uint8_t { text, byte, special };

  explicit Tables(size_t pairs) : merges(pairs) {}
  // Loading, in this order; `what` names the file in errors.
  void set_kinds(const TokenizerFile& file, size_t tokens);
  void set_texts(const std::vector<std::string_view>& texts, const TextIndex& ids, std::string_view what);
  void set_merges(const TokenizerFile& file, const TextIndex& ids, std::string_view what);
  void encode_plain(std::string_view text, std::vector<int32_t>& ids) const;
  void encode_unit(std::string_view text, std::vector<int32_t>& ids) const;

  std::vector<Kind> kinds;           // by id
  TextList bytes;                    // by id: what token_bytes() gives
  std::vector<int32_t> code_points;  // code point -> id of the token that is this alone, or -1
  std::array<int32_t, 256> byte_ids{};
  MergeTable merges;
  AddedTrie added;
  std::unordered_map<std::string, int32_t> specials;
};

namespace {

uint32_t code_point_of(std::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  uint32_t value = sequence.size() == 1 ? lead : lead & (0xFFu >> (sequence.size() + 1));
  for (const char c : sequence.substr(1)) value = value << 6 | (static_cast<unsigned char>(c) & 0x3Fu);
  return value;
}

// Every token's text in the order of ids. Throws for an id or a text that is there twice, and for a gap.
std::vector<std::string_view> texts_by_id(const TokenizerFile& file, TextIndex& ids, std::string_view what) {
  std::vector<std::string_view> texts;
  const auto place = [&](std::string_view text, int32_t id) {
    if (static_cast<size_t>(id) >= texts.size()) texts.resize(static_cast<size_t>(id) + 1);
    std::string_view& slot = texts[static_cast<size_t>(id)];
    if (!slot.empty())
      throw Error(Code::input, what, ": id ", id, " belongs to \"", printable(shortened(slot, 60)), "\" and to \"",
                  printable(shortened(text, 60)), "\"");
    slot = text;
  };
  for (size_t i = 0; i < file.vocab.size(); ++i) {
    place(file.vocab[i], file.vocab_ids[i]);
    if (ids.add(file.vocab[i], file.vocab_ids[i]) != file.vocab_ids[i])
      throw Error(Code::input, what, ": model.vocab: token \"", printable(shortened(file.vocab[i], 60)), "\" twice");
  }
  TextIndex seen(file.added.size());
  for (size_t i = 0; i < file.added.size(); ++i) {
    const AddedToken& token = file.added[i];
    if (seen.add(token.content, static_cast<int32_t>(i)) != static_cast<int32_t>(i))
      throw Error(Code::input, what, ": added token \"", printable(token.content), "\" twice");
    const bool is_new = ids.find(token.content) < 0;
    if (const int32_t known = ids.add(token.content, token.id); known != token.id)
      throw Error(Code::input, what, ": added token \"", printable(token.content), "\" has id ", token.id, ", and id ",
                  known, " in model.vocab");
    if (is_new) place(token.content, token.id);
  }
  for (size_t id = 0; id < texts.size(); ++id)
    if (texts[id].empty()) throw Error(Code::input, what, ": no token has id ", id, ", and larger ids are used");
  if (texts.empty()) throw Error(Code::input, what, ": model.vocab is empty");
  return texts;
}

}  // namespace

void Tokenizer::Tables::set_kinds(const TokenizerFile& file, size_t tokens) {
  kinds.assign(tokens, Kind::text);
  for (const AddedToken& token : file.added) {
    added.add(token.content, token.id);
    if (!token.special) continue;
    kinds[static_cast<size_t>(token.id)] = Kind::special;
    specials.emplace(token.content, token.id);
  }
}

void Tokenizer::Tables::set_texts(const std::vector<std::string_view>& texts, const TextIndex& ids,
                                  std::string_view what) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_ids[byte] = ids.find(hex_name(byte));
    if (byte_ids[byte] < 0) throw Error(Code::input, what, ": byte token \"", hex_name(byte), "\" is missing");
  }
  code_points.assign(0x110000, -1);
  for (size_t id = 0; id < texts.size(); ++id) {
    const std::string_view text = texts[id];
    const bool special = kinds[id] == Kind::special;
    const auto byte = byte_of(text);
    if (byte && special) throw Error(Code::input, what, ": byte token \"", text, "\" is marked as special");
    if (byte) kinds[id] = Kind::byte;
    if (!special && code_point_length(text) == text.size()) code_points[code_point_of(text)] = static_cast<int32_t>(id);
    bytes.add(byte ? std::string(1, static_cast<char>(*byte)) : with_spaces(text));
  }
}

void Tokenizer::Tables::set_merges(const TokenizerFile& file, const TextIndex& ids, std::string_view what) {
  const auto need = [&](std::string_view text, size_t rank) {
    const int32_t found = ids.find(text);
    if (found < 0)
      throw Error(Code::input, what, ": model.merges: entry ", rank, ": \"", printable(shortened(text, 60)),
                  "\" is not in model.vocab");
    return found;
  };
  std::string joined_text;
  for (size_t rank = 0; rank < file.merges.size() / 2; ++rank) {
    const std::string_view left = file.merges[2 * rank], right = file.merges[2 * rank + 1];
    joined_text.assign(left).append(right);
    const int32_t left_id = need(left, rank), right_id = need(right, rank), joined = need(joined_text, rank);
    // Exporters write every way to split a token, those of special tokens too. Such a merge could only act on
    // plain text, and would make a special token of it without anyone asking.
    if (kinds[static_cast<size_t>(joined)] == Kind::special) continue;
    merges.set(left_id, right_id, {static_cast<uint32_t>(rank), joined});
  }
}

Tokenizer Tokenizer::parse(std::string_view tokenizer_json, std::string_view what) {
  const TokenizerFile file = read_tokenizer_file(tokenizer_json, what);
  TextIndex ids(file.vocab.size() + file.added.size());
  const std::vector<std::string_view> texts = texts_by_id(file, ids, what);
  auto tables = std::make_unique<Tables>(file.merges.size() / 2);
  tables->set_kinds(file, texts.size());
  tables->set_texts(texts, ids, what);
  tables->set_merges(file, ids, what);
  return Tokenizer(std::move(tables));
}

Tokenizer::Tokenizer(std::unique_ptr<Tables> tables) : tables_(std::move(tables)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

// One stretch of text without added tokens: one unit, merges cross spaces and newlines.
void Tokenizer::Tables::encode_unit(std::string_view text, std::vector<int32_t>& ids) const {
  std::vector<int32_t> symbols;
  symbols.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const size_t length = code_point_length(rest);
    const uint32_t code_point = length == 0 ? 0 : rest[0] == ' ' ? 0x2581 : code_point_of(rest.substr(0, length));
    const int32_t id = length == 0 ? -1 : code_points[code_point];
    if (id >= 0) {
      symbols.push_back(id);
      at += length;
      continue;
    }
    // Spaces are the mark by now, and so are the bytes that stand for one.
    const std::string_view bytes = length == 0      ? rest.substr(0, 1)
                                   : rest[0] == ' ' ? kSpaceMark
                                                    : rest.substr(0, length);
    for (const char byte : bytes) symbols.push_back(byte_ids[static_cast<unsigned char>(byte)]);
    at += length == 0 ? 1 : length;
  }
  merge_symbols(symbols, merges, ids);
}

// A special token found here is text, but it still hides what starts inside it, as in the library.
void Tokenizer::Tables::encode_plain(std::string_view text, std::vector<int32_t>& ids) const {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedTrie::Match match = added.longest(text.substr(at));
    if (match.id >= 0 && kinds[static_cast<size_t>(match.id)] != Kind::special) {
      encode_unit(text.substr(begin, at - begin), ids);
      ids.push_back(match.id);
      begin = at + match.length;
    }
    at += match.id >= 0 ? match.length : 1;
  }
  encode_unit(text.substr(begin), ids);
}

std::vector<Tokenizer::Cut> Tokenizer::cut_at_specials(std::string_view text) const {
  std::vector<Cut> cuts;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedTrie::Match match = tables_->added.longest(text.substr(at));
    if (match.id >= 0 && is_special(match.id)) {
      if (at > begin) cuts.push_back({text.substr(begin, at - begin), -1});
      cuts.push_back({{}, match.id});
      begin = at + match.length;
    }
    at += match.id >= 0 ? match.length : 1;
  }
  if (begin < text.size()) cuts.push_back({text.substr(begin), -1});
  return cuts;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, Special special) const {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()) / 4)
    throw Error(Code::input, "a text of ", text.size(), " bytes is too long to encode");
  std::vector<int32_t> ids;
  if (special == Special::plain) {
    tables_->encode_plain(text, ids);
    return ids;
  }
  for (const Cut& cut : cut_at_specials(text)) {
    if (cut.id >= 0)
      ids.push_back(cut.id);
    else
      tables_->encode_plain(cut.text, ids);
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, ShowSpecial show) const {
  Stream stream(*this, show);
  std::string text;
  for (const int32_t id : ids) text += stream.add(id);
  return text + stream.finish();
}

std::string Tokenizer::Stream::add(int32_t id) {
  const std::string_view bytes = tokenizer_->token_bytes(id);
  if (show_ == ShowSpecial::skip && tokenizer_->is_special(id)) return {};  // does not end a run
  if (tokenizer_->is_byte_token(id)) {
    bytes_ += bytes;
    return {};
  }
  return finish().append(bytes);
}

std::string Tokenizer::Stream::finish() {
  std::string run;
  run.swap(bytes_);
  if (is_valid_utf8(run)) return run;
  std::string shown;
  for (size_t i = 0; i < run.size(); ++i) shown += kReplacement;
  return shown;
}

size_t Tokenizer::vocab_size() const { return tables_->kinds.size(); }

std::optional<int32_t> Tokenizer::special_id(std::string_view content) const {
  const auto found = tables_->specials.find(std::string(content));
  if (found == tables_->specials.end()) return std::nullopt;
  return found->second;
}

int32_t Tokenizer::need_special_id(std::string_view content) const {
  const auto id = special_id(content);
  if (!id) throw Error(Code::input, "the tokenizer has no special token \"", printable(content), "\"");
  return *id;
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < vocab_size() &&
         tables_->kinds[static_cast<size_t>(id)] == Tables::Kind::special;
}

bool Tokenizer::is_byte_token(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < vocab_size() &&
         tables_->kinds[static_cast<size_t>(id)] == Tables::Kind::byte;
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= vocab_size())
    throw Error(Code::input, "token id ", id, " is outside the vocabulary of ", vocab_size(), " tokens");
  return tables_->bytes[static_cast<size_t>(id)];
}

}  // namespace gf
