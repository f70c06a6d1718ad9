#include "engine/unicode.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/unicode_tables.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using namespace unicode_tables;

constexpr uint32_t kCapitalSigma = 0x3A3;
constexpr uint32_t kFinalSigma = 0x3C2;
// Above all code points: an ill-formed byte, kept as it is.
constexpr uint32_t kRawByte = 0x200000;

std::vector<uint32_t> code_points_of(std::string_view text) {
  std::vector<uint32_t> points;
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    const std::string_view sequence = text.substr(at, length);
    if (lead < 0x80 || sequence.size() < length || !is_valid_utf8(sequence)) {
      points.push_back(lead < 0x80 ? lead : kRawByte + lead);
      ++at;
      continue;
    }
    uint32_t value = lead & (0xFFu >> (length + 1));
    for (const char c : sequence.substr(1)) value = value << 6 | (static_cast<unsigned char>(c) & 0x3Fu);
    points.push_back(value);
    at += length;
  }
  return points;
}

void append(std::string& text, uint32_t point) {
  const auto put = [&](uint32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (point >= kRawByte) return put(point - kRawByte);
  if (point < 0x80) return put(point);
  if (point < 0x800) {
    put(0xC0 | point >> 6);
  } else {
    if (point < 0x10000) {
      put(0xE0 | point >> 12);
    } else {
      put(0xF0 | point >> 18);
      put(0x80 | (point >> 12 & 0x3F));
    }
    put(0x80 | (point >> 6 & 0x3F));
  }
  put(0x80 | (point & 0x3F));
}

void append_mapped(std::string& text, uint32_t point, std::span<const CaseRun> runs,
                   std::span<const CaseExpansion> expansions) {
  const auto expansion = std::lower_bound(expansions.begin(), expansions.end(), point,
                                          [](const CaseExpansion& e, uint32_t p) { return e.from < p; });
  if (expansion != expansions.end() && expansion->from == point) {
    for (const uint32_t to : expansion->to)
      if (to != 0) append(text, to);
    return;
  }
  for (const CaseRun& run : runs)
    if (point >= run.first && point <= run.last && (point - run.first) % run.step == 0)
      return append(text, static_cast<uint32_t>(static_cast<int32_t>(point) + run.delta));
  append(text, point);
}

bool in(std::span<const CodePointRange> ranges, uint32_t point) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const CodePointRange& range) { return point >= range.first && point <= range.last; });
}

// A sigma is final after a letter and before none, whatever marks are between (Unicode 3.13, Final_Sigma).
bool is_final_sigma(std::span<const uint32_t> points, size_t at) {
  const auto letter_next = [](auto begin, auto end) {
    const auto first = std::find_if(begin, end, [](uint32_t point) { return !in(kCaseIgnorable, point); });
    return first != end && in(kCased, *first);
  };
  const auto before = points.first(at);
  const auto after = points.subspan(at + 1);
  return letter_next(before.rbegin(), before.rend()) && !letter_next(after.begin(), after.end());
}

bool is_white_space(uint32_t point) {
  return (point >= 0x09 && point <= 0x0D) || (point >= 0x1C && point <= 0x20) || point == 0x85 || point == 0xA0 ||
         point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 ||
         point == 0x202F || point == 0x205F || point == 0x3000;
}

size_t utf8_length(uint32_t point) {
  return point >= kRawByte || point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

}  // namespace

std::string unicode_lower(std::string_view text) {
  const std::vector<uint32_t> points = code_points_of(text);
  std::string lower;
  for (size_t at = 0; at < points.size(); ++at) {
    const uint32_t point = points[at];
    if (point < 0x80)
      lower += static_cast<char>(point >= 'A' && point <= 'Z' ? point + 32 : point);
    else if (point == kCapitalSigma && is_final_sigma(points, at))
      append(lower, kFinalSigma);
    else
      append_mapped(lower, point, kLowerRuns, kLowerExpansions);
  }
  return lower;
}

std::string unicode_upper(std::string_view text) {
  std::string upper;
  for (const uint32_t point : code_points_of(text)) {
    if (point < 0x80)
      upper += static_cast<char>(point >= 'a' && point <= 'z' ? point - 32 : point);
    else
      append_mapped(upper, point, kUpperRuns, kUpperExpansions);
  }
  return upper;
}

std::string_view unicode_stripped(std::string_view text) {
  // Only the ends are decoded; the longest run of white space is all that costs.
  while (!text.empty()) {
    const std::vector<uint32_t> first = code_points_of(text.substr(0, 4));
    if (!is_white_space(first.front())) break;
    text.remove_prefix(utf8_length(first.front()));
  }
  while (!text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0u) == 0x80) --start;
    const std::vector<uint32_t> last = code_points_of(text.substr(start));
    if (!is_white_space(last.back())) break;
    text.remove_suffix(utf8_length(last.back()));
  }
  return text;
}

}  // namespace gf
