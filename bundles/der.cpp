// DER: lengths in their shortest form, sets sorted.
#include "bundles/der.h"

#include <algorithm>

namespace gf::der {
namespace {

std::string length_bytes(size_t length) {
  if (length < 0x80) return std::string(1, static_cast<char>(length));
  std::string digits;
  for (; length > 0; length >>= 8) digits.insert(digits.begin(), static_cast<char>(length & 0xFF));
  return std::string(1, static_cast<char>(0x80 | digits.size())) + digits;
}

}  // namespace

std::string element(uint8_t tag, std::string_view content) {
  return std::string(1, static_cast<char>(tag)) + length_bytes(content.size()) + std::string(content);
}

std::string small_integer(uint8_t value) { return element(0x02, std::string(1, static_cast<char>(value))); }

std::string object_identifier(std::string_view content) { return element(0x06, content); }

std::string set_of(std::vector<std::string> members, uint8_t tag) {
  // std::string compares char by char as unsigned bytes (char_traits), which is DER's order.
  std::sort(members.begin(), members.end());
  std::string content;
  for (const std::string& member : members) content += member;
  return element(tag, content);
}

}  // namespace gf::der
