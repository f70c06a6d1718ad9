// UID 0 in passwd files.
#include "policy/accounts_file.h"

#include <algorithm>

#include "kernels/base/text.h"

namespace gf {

namespace {

constexpr size_t kMaxPasswdBytes = 4 << 20;

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const size_t colon = line.find(':');
    fields.push_back(line.substr(0, colon));
    if (colon == std::string_view::npos) return fields;
    line.remove_prefix(colon + 1);
  }
}

bool reads_as_zero(std::string_view uid) {
  uid = trimmed(uid);
  if (!uid.empty() && (uid.front() == '+' || uid.front() == '-')) uid.remove_prefix(1);
  // strtoul stops at the first character that is no digit: "0x1" and "abc" are 0 to it. 2^32 and
  // its multiples are cut to 0 by parsers that keep 32 bits, so a number that long is suspect too.
  size_t digits = 0;
  bool zero = true;
  for (; digits < uid.size() && uid[digits] >= '0' && uid[digits] <= '9'; ++digits) zero = zero && uid[digits] == '0';
  return zero || digits > 10 || (digits == 10 && uid.substr(0, 10) >= "4294967296");
}

}  // namespace

std::vector<Account> superusers_in(std::string_view passwd) {
  std::vector<Account> found;
  while (!passwd.empty()) {
    const size_t end = passwd.find('\n');
    const std::string_view line = passwd.substr(0, end);
    passwd.remove_prefix(end == std::string_view::npos ? passwd.size() : end + 1);
    const auto fields = fields_of(line);
    // Lines that glibc's parser skips give nobody anything.
    if (fields.size() < 3 || trimmed(line).front() == '#') continue;
    if (reads_as_zero(fields[2])) found.push_back({std::string(fields[0]), std::string(fields[1])});
  }
  return found;
}

std::optional<std::string> new_superuser(const Change& change, const ChangeSet& change_set) {
  if (!change_set.read_after) return "could not be read to look for accounts with UID 0";
  const std::string after = change_set.read_after(change.path, kMaxPasswdBytes + 1);
  if (after.size() > kMaxPasswdBytes) return "is too large to look for accounts with UID 0";
  if (after.size() < change.after.size) return "could not be read whole to look for accounts with UID 0";
  std::vector<Account> known;
  if (change_set.read_before && change.before.type == FileType::regular) {
    known = superusers_in(change_set.read_before(change.path, kMaxPasswdBytes));
  } else {
    known = {{"root", "x"}, {"root", "*"}, {"root", "!"}};
  }
  for (const Account& account : superusers_in(after)) {
    const bool was_there = std::any_of(known.begin(), known.end(), [&](const Account& old) {
      return old.name == account.name && (old.password == account.password || account.password == "x");
    });
    if (was_there) continue;
    const bool same_name =
        std::any_of(known.begin(), known.end(), [&](const Account& old) { return old.name == account.name; });
    return same_name ? "gives the account " + account.name + " (UID 0) another password"
                     : "gives UID 0 to the account \"" + account.name + "\"";
  }
  return std::nullopt;
}

}  // namespace gf
