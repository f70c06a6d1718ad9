#include "engine/grammar_state.h"

#include <algorithm>
#include <string_view>

namespace gf {
namespace {

using Kind = SchemaForm::Kind;

// Phases of a string. From kMore up: that many continuation bytes are missing.
enum StringPhase : int32_t { kBefore = 0, kInside, kEscape, kHex1, kHex2, kHex3, kHex4, kMore = 16 };
enum NumberPhase : int32_t { kStart = 0, kMinus, kWhole, kPoint, kFraction, kExponent, kExponentSign, kPower };
enum ArrayPhase : int32_t { kOpening = 0, kFirst, kAfterItem, kAfterComma, kAfterSpace };
enum IntegerSign : uint32_t { kNoSign = 0, kNegative = 1 };

// Doubles hold these without surprises.
constexpr int32_t kMaxDigits = 15;
constexpr int32_t kMaxPowerDigits = 2;

bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

int32_t hex_value(uint8_t byte) {
  if (is_digit(byte)) return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

// What the magnitude of an integer of this sign may be; empty if low > high.
struct Magnitudes {
  uint64_t low, high;
};
Magnitudes magnitudes(const SchemaForm& form, bool negative) {
  if (!negative)
    return {static_cast<uint64_t>(std::max<int64_t>(form.minimum, 0)),
            static_cast<uint64_t>(std::max<int64_t>(form.maximum, 0))};
  return {static_cast<uint64_t>(std::max<int64_t>(-form.maximum, 1)),
          static_cast<uint64_t>(std::max<int64_t>(-form.minimum, 0))};
}
bool may_be(const SchemaForm& form, bool negative) { return negative ? form.minimum < 0 : form.maximum >= 0; }

// How many more digits the number so far needs at least; -1 if none lead into the range. After a 0 none may come.
int64_t digits_missing(const SchemaForm& form, bool negative, uint64_t so_far) {
  const auto [low, high] = magnitudes(form, negative);
  uint64_t first = so_far, last = so_far;
  for (int64_t more = 0; first <= high; ++more) {
    if (last >= low) return more;
    if (so_far == 0) return -1;
    first *= 10;
    last = last * 10 + 9;
  }
  return -1;
}

int64_t digits_of(uint64_t value) {
  int64_t digits = 1;
  for (; value >= 10; value /= 10) ++digits;
  return digits;
}

int64_t array_cost(const SchemaForm& form, int32_t phase, int32_t begun) {
  const int64_t item = form.item->least;
  const int64_t missing = std::max<int64_t>(0, form.min_items - begun);
  switch (phase) {
    case kOpening: return form.least;
    case kFirst: return missing == 0 ? 1 : missing * (item + 1);
    case kAfterItem: return missing * (item + 1) + 1;
    default: return item + std::max<int64_t>(0, missing - 1) * (item + 1) + 1;
  }
}

}  // namespace

bool GrammarState::step(uint8_t byte) {
  // A value that ends without the byte leaves it to the one around it.
  while (depth_ > 0) {
    const Took took = take(byte);
    if (took != Took::ended) return took == Took::yes;
    --depth_;
  }
  return false;
}

GrammarState::Took GrammarState::take(uint8_t byte) {
  Open& open = top();
  switch (open.form->kind) {
    case Kind::literal: return take_literal(open, byte);
    case Kind::string: return take_string(open, byte);
    case Kind::integer: return take_integer(open, byte);
    case Kind::number: return take_number(open, byte);
    case Kind::object: return take_object(open, byte);
    case Kind::array: return take_array(open, byte);
  }
  return Took::no;
}

GrammarState::Took GrammarState::take_literal(Open& open, uint8_t byte) {
  const LiteralTree& tree = open.form->literals;
  const int32_t next = tree.child(open.at, byte);
  if (next < 0) return tree.target(open.at) == LiteralTree::kEnd ? Took::ended : Took::no;
  open.at = next;
  if (tree.is_leaf(next)) --depth_;
  return Took::yes;
}

GrammarState::Took GrammarState::take_object(Open& open, uint8_t byte) {
  const LiteralTree& tree = open.form->before[static_cast<size_t>(open.index)];
  if (const int32_t next = tree.child(open.at, byte); next >= 0) {
    open.at = next;
    if (tree.target(next) == LiteralTree::kEnd) --depth_;  // no text of an object goes on after its '}'
    return Took::yes;
  }
  const int32_t member = tree.target(open.at);
  if (member < 0) return Took::no;
  open.index = member + 1;
  open.at = 0;
  push(*open.form->members[static_cast<size_t>(member)]);
  return take(byte);
}

GrammarState::Took GrammarState::take_array(Open& open, uint8_t byte) {
  const SchemaForm& form = *open.form;
  const bool enough = open.index >= form.min_items, room = open.index < form.max_items;
  switch (open.at) {
    case kOpening:
      if (byte != '[') return Took::no;
      open.at = kFirst;
      return Took::yes;
    case kAfterItem:
      if (byte == ',' && room) {
        open.at = kAfterComma;
        return Took::yes;
      }
      break;
    case kAfterComma:
      if (byte == ' ') {
        open.at = kAfterSpace;
        return Took::yes;
      }
      break;
    default: break;
  }
  if (byte == ']' && enough && (open.at == kFirst || open.at == kAfterItem)) {
    --depth_;
    return Took::yes;
  }
  if (open.at == kAfterItem || !room) return Took::no;
  ++open.index;
  open.at = kAfterItem;
  push(*form.item);
  return take(byte);
}

GrammarState::Took GrammarState::take_string(Open& open, uint8_t byte) {
  const auto max_length = static_cast<uint64_t>(open.form->max_length);
  if (open.at == kBefore) {
    open.at = kInside;
    return byte == '"' ? Took::yes : Took::no;
  }
  if (open.at == kInside) return take_in_string(open, byte);
  if (open.at == kEscape) {
    open.extra = 0;
    open.at = byte == 'u' ? kHex1 : kInside;
    if (byte != 'u') ++open.value;
    return std::string_view("\"\\/bfnrtu").find(static_cast<char>(byte)) != std::string_view::npos ? Took::yes
                                                                                                   : Took::no;
  }
  if (open.at >= kMore) {
    const uint32_t low = open.extra & 0xFF, high = open.extra >> 8;
    if (byte < low || byte > high) return Took::no;
    open.extra = 0xBF80;
    if (--open.at == kMore) {
      open.at = kInside;
      ++open.value;
    }
    return Took::yes;
  }
  const int32_t digit = hex_value(byte);
  if (digit < 0 || open.value >= max_length) return Took::no;
  open.extra = open.extra * 16 + static_cast<uint32_t>(digit);
  // Surrogates would need a second escape, and U+0000 ends texts in too many programs.
  if (open.at == kHex2 && open.extra >= 0xD8 && open.extra <= 0xDF) return Took::no;
  if (open.at == kHex4 && open.extra == 0) return Took::no;
  if (open.at == kHex4) ++open.value;
  open.at = open.at == kHex4 ? kInside : open.at + 1;
  return Took::yes;
}

GrammarState::Took GrammarState::take_in_string(Open& open, uint8_t byte) {
  if (byte == '"') {
    if (open.value < static_cast<uint64_t>(open.form->min_length)) return Took::no;
    --depth_;
    return Took::yes;
  }
  if (byte < 0x20 || open.value >= static_cast<uint64_t>(open.form->max_length)) return Took::no;
  if (byte == '\\') {
    open.at = kEscape;
    return Took::yes;
  }
  if (byte < 0x80) {
    ++open.value;
    return Took::yes;
  }
  // Well-formed sequences only (The Unicode Standard, table 3-7): no overlong forms, surrogates, or above 10FFFF.
  if (byte < 0xC2 || byte > 0xF4) return Took::no;
  const uint32_t low = byte == 0xE0 ? 0xA0u : byte == 0xF0 ? 0x90u : 0x80u;
  const uint32_t high = byte == 0xED ? 0x9Fu : byte == 0xF4 ? 0x8Fu : 0xBFu;
  open.extra = high << 8 | low;
  open.at = kMore + (byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1);
  return Took::yes;
}

GrammarState::Took GrammarState::take_integer(Open& open, uint8_t byte) {
  const SchemaForm& form = *open.form;
  if (open.at == kStart && byte == '-') {
    open.at = kMinus;
    open.extra = kNegative;
    return may_be(form, true) ? Took::yes : Took::no;
  }
  const bool negative = open.extra == kNegative;
  if (!is_digit(byte))
    return open.at == kWhole && digits_missing(form, negative, open.value) == 0 ? Took::ended : Took::no;
  if (open.at == kWhole && open.value == 0) return Took::no;
  if (!may_be(form, negative)) return Took::no;
  open.value = open.value * 10 + static_cast<uint64_t>(byte - '0');
  open.at = kWhole;
  return digits_missing(form, negative, open.value) >= 0 ? Took::yes : Took::no;
}

GrammarState::Took GrammarState::take_number(Open& open, uint8_t byte) {
  const auto go = [&](int32_t phase, int32_t digits) {
    open.at = phase;
    open.index = digits;
    return Took::yes;
  };
  const bool ends_here = open.at == kWhole || open.at == kFraction || open.at == kPower;
  if (is_digit(byte)) {
    switch (open.at) {
      case kStart:
      case kMinus: open.value = byte == '0' ? 0 : 1; return go(kWhole, 1);
      case kWhole: return open.value == 0 || open.index >= kMaxDigits ? Took::no : go(kWhole, open.index + 1);
      case kPoint: return go(kFraction, 1);
      case kFraction: return open.index >= kMaxDigits ? Took::no : go(kFraction, open.index + 1);
      case kExponent:
      case kExponentSign: return go(kPower, 1);
      default: return open.index >= kMaxPowerDigits ? Took::no : go(kPower, open.index + 1);
    }
  }
  if (byte == '-' && open.at == kStart) return go(kMinus, 0);
  if (byte == '.' && open.at == kWhole) return go(kPoint, 0);
  if ((byte == 'e' || byte == 'E') && (open.at == kWhole || open.at == kFraction)) return go(kExponent, 0);
  if ((byte == '+' || byte == '-') && open.at == kExponent) return go(kExponentSign, 0);
  return ends_here ? Took::ended : Took::no;
}

int64_t GrammarState::cost_of(const Open& open) {
  const SchemaForm& form = *open.form;
  switch (form.kind) {
    case Kind::literal: return form.literals.cost(open.at);
    case Kind::object: return form.before[static_cast<size_t>(open.index)].cost(open.at);
    case Kind::array: return array_cost(form, open.at, open.index);
    case Kind::number: return open.at == kWhole || open.at == kFraction || open.at == kPower ? 0 : 1;
    case Kind::integer: {
      if (open.at == kStart) return form.least;
      const bool negative = open.extra == kNegative;
      if (open.at == kMinus) return digits_of(magnitudes(form, negative).low);
      return digits_missing(form, negative, open.value);
    }
    case Kind::string: break;
  }
  const int64_t missing = form.min_length - static_cast<int64_t>(open.value);
  if (open.at == kBefore) return form.least;
  if (open.at == kInside) return std::max<int64_t>(0, missing) + 1;
  // A code point is half written: what it still needs, and then one less is missing.
  const int64_t rest = open.at >= kMore ? open.at - kMore : open.at == kEscape ? 1 : kHex4 + 1 - open.at;
  return rest + std::max<int64_t>(0, missing - 1) + 1;
}

int64_t GrammarState::cost() const {
  int64_t sum = 0;
  for (int32_t i = 0; i < depth_; ++i) sum += cost_of(open_[static_cast<size_t>(i)]);
  return sum;
}

int64_t GrammarState::string_room() const {
  if (depth_ == 0 || top().form->kind != Kind::string || top().at != kInside) return -1;
  return top().form->max_length - static_cast<int64_t>(top().value);
}

int64_t GrammarState::string_need() const {
  if (string_room() < 0) return -1;
  return std::max<int64_t>(0, top().form->min_length - static_cast<int64_t>(top().value));
}

bool GrammarState::is_in_same_string(const GrammarState& other) const {
  const auto same = [](const Open& a, const Open& b) { return a.form == b.form && a.at == b.at && a.index == b.index; };
  return depth_ == other.depth_ && string_room() >= 0 &&
         std::equal(open_.begin(), open_.begin() + depth_, other.open_.begin(), same);
}

}  // namespace gf
