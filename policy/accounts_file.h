// Reading passwd(5) for the one question that the gate has: who has UID 0.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/change_set.h"

namespace gf {

struct Account {
  std::string name;
  std::string password;  // the second field: "x", "", a hash
};

// Accounts with UID 0, in the file's order. A UID is read as the C library's parsers may read it:
// blanks and signs around it, leading zeros, and nothing at all count as 0.
std::vector<Account> superusers_in(std::string_view passwd);

// Why the changed /etc/passwd gives UID 0 to somebody who did not have it, or nothing. Also when
// the file cannot be read: what cannot be judged is not committed.
std::optional<std::string> new_superuser(const Change& change, const ChangeSet& change_set);

}  // namespace gf
