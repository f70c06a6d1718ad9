// Reading trust.toml.
#include "bundles/trust.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "bundles/limits.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_toml.h"

namespace gf {
namespace {

std::string this_host() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) throw system_error(errno, "cannot read the host's name");
  return name;
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// Whoever can write here decides what the host believes.
void check_not_open_to_all(const std::filesystem::path& path, const std::string& where) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw system_error(errno, where + ": cannot look at " + path.native());
  if ((status.st_mode & S_IWOTH) != 0)
    throw Error(Code::input, where, ": every user can write to ", path.native(), ": take that right away (chmod o-w)");
}

void check_folder(const std::filesystem::path& path, const std::string& where) {
  if (!std::filesystem::is_directory(path))
    throw Error(Code::input, where, ": expected a folder, found none at ", path.native());
  check_not_open_to_all(path, where);
}

std::set<Digest> read_keys(TomlTable& table, std::string_view name) {
  std::set<Digest> keys;
  for (const std::string& text : table.strings(name)) {
    const std::string where = table.where(name) + ": " + std::string(name);
    if (!keys.insert(Digest::from_hex(text, where)).second)
      throw Error(Code::input, where, ": the key ", text, " is listed twice");
  }
  return keys;
}

void read_thresholds(Trust& trust, TomlTable& file) {
  trust.threshold.fill(1);
  std::optional<TomlTable> table = file.optional_table("threshold");
  if (!table) return;
  const auto most = static_cast<int64_t>(kMaxSignatures);
  trust.threshold.fill(static_cast<size_t>(table->integer_or("default", 1, most, 1)));
  for (const Kind kind : kAllKinds)
    if (table->has(kind_name(kind)))
      trust.threshold[static_cast<size_t>(kind)] = static_cast<size_t>(table->integer(kind_name(kind), 1, most));
}

void read_signers(Trust& trust, TomlTable& file) {
  std::optional<TomlTable> table = file.optional_table("signers");
  if (!table) return;
  if (table->has("default")) trust.signers.fill(read_keys(*table, "default"));
  if (table->has("report")) trust.report_signers = read_keys(*table, "report");
  for (const Kind kind : kAllKinds) {
    std::optional<std::set<Digest>>& keys = trust.signers[static_cast<size_t>(kind)];
    if (table->has(kind_name(kind))) keys = read_keys(*table, kind_name(kind));
    if (keys && keys->size() < trust.required_for(kind))
      throw Error(Code::input, table->where(), ": signers: ", keys->size(), " keys count for ", kind_name(kind),
                  ", and its threshold is ", trust.required_for(kind), ": it can never be reached");
  }
}

}  // namespace

Trust Trust::read(const std::filesystem::path& trust_toml) {
  TomlTable file = TomlTable::parse_file(trust_toml);
  check_not_open_to_all(trust_toml, trust_toml.native());
  Trust trust;
  trust.anchors = file.path("anchors");
  check_folder(trust.anchors, file.where("anchors") + ": anchors");
  trust.crls = file.optional_path("crls");
  if (trust.crls) check_folder(*trust.crls, file.where("crls") + ": crls");
  trust.require_crls = file.boolean_or("require_crls", false);
  if (trust.require_crls && !trust.crls)
    throw Error(Code::input, file.where("require_crls"), ": require_crls: needs the folder of the lists: set crls");
  trust.state = file.path("state");
  if (std::filesystem::exists(trust.state)) check_folder(trust.state, file.where("state") + ": state");
  trust.allow_replay = file.boolean_or("allow_replay", true);
  trust.hosts.push_back(lower_case(file.has("host") ? file.string("host") : this_host()));
  read_thresholds(trust, file);
  read_signers(trust, file);
  file.finish();
  return trust;
}

bool Trust::counts_for(Kind kind, const Digest& key) const {
  const std::optional<std::set<Digest>>& keys = signers[static_cast<size_t>(kind)];
  return !keys || keys->contains(key);
}

}  // namespace gf
