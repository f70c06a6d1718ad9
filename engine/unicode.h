// The three operations on Unicode text that the chat template asks for, as Python's str has them: lower(),
// upper() (full mappings, Unicode 14) and strip(). Texts are UTF-8; ill-formed bytes pass unchanged.
#pragma once

#include <string>
#include <string_view>

namespace gf {

std::string unicode_lower(std::string_view text);
std::string unicode_upper(std::string_view text);
// Unicode white space off both ends, U+001C .. U+001F included; not U+200B, U+FEFF, U+180E.
std::string_view unicode_stripped(std::string_view text);

}  // namespace gf
