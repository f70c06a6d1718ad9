// Takes secrets out of text before it is stored, shown or put in a prompt.
#pragma once

#include <string>
#include <string_view>

namespace gf {

// Replaces with "[redacted: KIND]": password hashes as crypt(5) writes them ($1$, $2b$, $5$, $6$,
// $y$, $gy$, $7$, $sha1$ ...), the password field of shadow lines, grub.pbkdf2 hashes, and PEM
// private keys, whole or cut off. Text without any of them comes back as it was. The result is at
// most twice as long as the text, plus 64 bytes.
std::string redacted(std::string_view text);

}  // namespace gf
