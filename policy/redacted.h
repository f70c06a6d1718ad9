// Takes secrets out of text before it is stored, shown or put in a prompt.
#pragma once

#include <string>
#include <string_view>

namespace gf {

// Replaces by "[redacted ...]": password hashes as crypt(5) writes them ($1$, $2b$, $5$, $6$, $7$, $y$,
// $gy$, $sha1$ ..., also with "\$"), grub.pbkdf2 hashes, the password fields of shadow(5) and old
// passwd(5) lines, and PEM private keys, whole, cut off at the end, or cut off at the beginning. Other
// text comes back as it was. The result is at most twice as long as the text.
std::string redacted(std::string_view text);

}  // namespace gf
