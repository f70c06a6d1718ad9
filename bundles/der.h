// Writing ASN.1 DER (X.690), the few types that a signature needs. Values are strings of bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gf::der {

inline constexpr uint8_t kOctetString = 0x04;
inline constexpr uint8_t kSequence = 0x30;
inline constexpr uint8_t kSet = 0x31;
inline constexpr uint8_t kContext0 = 0xA0;  // constructed; [1], [2] ... follow

// Tag, definite length in its shortest form, content.
std::string element(uint8_t tag, std::string_view content);
std::string small_integer(uint8_t value);  // 0 to 127
// `content` is the already encoded object identifier without tag and length.
std::string object_identifier(std::string_view content);
// SET OF: the members sorted by their encodings, under `tag` (kSet, or a context tag).
std::string set_of(std::vector<std::string> members, uint8_t tag = kSet);

}  // namespace gf::der
