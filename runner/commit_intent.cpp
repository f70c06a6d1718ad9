// The intent as JSON, and what may be found on disk because of it.
#include "runner/commit_intent.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"
#include "kernels/base/text.h"
#include "runner/safe_path.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxIntentBytes = uint64_t{256} << 20;
constexpr int64_t kMost = INT64_MAX;

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    hex += digits[static_cast<unsigned char>(byte) >> 4];
    hex += digits[static_cast<unsigned char>(byte) & 15];
  }
  return hex;
}

std::string from_hex(std::string_view hex, const std::string& what) {
  const auto value = [&](char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    throw Error(Code::input, what, ": not a hexadecimal digit");
  };
  if (hex.size() % 2 != 0) throw Error(Code::input, what, ": an odd number of hexadecimal digits");
  std::string bytes;
  for (size_t at = 0; at < hex.size(); at += 2) bytes += static_cast<char>(value(hex[at]) * 16 + value(hex[at + 1]));
  return bytes;
}

json encoded(const std::string& bytes) {
  if (is_valid_utf8(bytes)) return bytes;
  return {{"hex", to_hex(bytes)}};
}

std::string decoded(const json& value, const std::string& what) {
  if (value.is_string()) return value.get<std::string>();
  JsonObject object(value, what);
  std::string bytes = from_hex(object.string("hex"), what);
  object.finish();
  return bytes;
}

json to_json(const FileState& state) {
  if (state.type == FileType::absent) return nullptr;
  json attributes = json::array();
  for (const auto& [name, value] : state.xattrs) attributes.push_back({encoded(name), encoded(value)});
  return {{"type", static_cast<int>(state.type)},
          {"mode", state.mode},
          {"uid", state.uid},
          {"gid", state.gid},
          {"size", state.size},
          {"content", state.content.hex()},
          {"link", encoded(state.link_target)},
          {"device", state.device_number},
          {"attributes", std::move(attributes)}};
}

FileState state_from(const json& value, const std::string& what) {
  FileState state;
  if (value.is_null()) return state;
  JsonObject object(value, what);
  state.type = static_cast<FileType>(object.integer("type", 1, static_cast<int>(FileType::socket)));
  state.mode = static_cast<uint32_t>(object.integer("mode", 0, 07777));
  state.uid = static_cast<uint32_t>(object.integer("uid", 0, UINT32_MAX));
  state.gid = static_cast<uint32_t>(object.integer("gid", 0, UINT32_MAX));
  state.size = static_cast<uint64_t>(object.integer("size", 0, kMost));
  state.content = Digest::from_hex(object.string("content"), what + ".content");
  state.link_target = decoded(object.any("link"), what + ".link");
  state.device_number = static_cast<uint64_t>(object.integer("device", 0, kMost));
  for (const json& pair : object.any("attributes")) {
    if (!pair.is_array() || pair.size() != 2) throw Error(Code::input, what, ".attributes: expected pairs");
    state.xattrs.emplace(decoded(pair[0], what), decoded(pair[1], what));
  }
  object.finish();
  return state;
}

IntentEntry entry_from(JsonObject object) {
  const std::string what = object.path();
  IntentEntry entry;
  entry.change.path = decoded(object.any("path"), what + ".path");
  check_target_path(entry.change.path);
  entry.change.before = state_from(object.any("before"), what + ".before");
  entry.change.after = state_from(object.any("after"), what + ".after");
  entry.change.content_changed = object.boolean("content_changed");
  entry.change.metadata_changed = object.boolean("metadata_changed");
  entry.action = static_cast<Action>(object.integer("action", 0, static_cast<int>(Action::remove)));
  entry.before_times = {object.integer("accessed_ns", INT64_MIN, kMost),
                        object.integer("modified_ns", INT64_MIN, kMost)};
  entry.original_offset = static_cast<uint64_t>(object.integer("original_offset", 0, kMost));
  entry.inside = object.integer("inside", -1, kMost);
  entry.linked_to = object.integer("linked_to", -1, kMost);
  object.finish();
  return entry;
}

bool is_one_of(const FileState& found, const FileState& a, const FileState& b, uint32_t FileState::*part) {
  return found.*part == a.*part || found.*part == b.*part;
}

bool same_as_side(const IntentEntry& entry, const FileState& side, const FileState& found) {
  if (!same_metadata(side, found)) return false;
  return !entry.change.content_changed || same_content(side, found);
}

}  // namespace

std::string Intent::temporary_name(size_t i) const { return ".gf-commit-" + commit_id + "-" + std::to_string(i); }

nlohmann::json to_json(const Intent& intent) {
  json entries = json::array();
  for (const IntentEntry& entry : intent.entries)
    entries.push_back({{"path", encoded(entry.change.path)},
                       {"before", to_json(entry.change.before)},
                       {"after", to_json(entry.change.after)},
                       {"content_changed", entry.change.content_changed},
                       {"metadata_changed", entry.change.metadata_changed},
                       {"action", static_cast<int>(entry.action)},
                       {"accessed_ns", entry.before_times.accessed_ns},
                       {"modified_ns", entry.before_times.modified_ns},
                       {"original_offset", entry.original_offset},
                       {"inside", entry.inside},
                       {"linked_to", entry.linked_to}});
  return {{"version", 1},
          {"commit_id", intent.commit_id},
          {"run_id", intent.run_id},
          {"rule_id", intent.rule_id},
          {"origin", intent.origin == Origin::vetted ? "vetted" : "model"},
          {"entries", std::move(entries)}};
}

Intent intent_from_json(const nlohmann::json& value, const std::string& what) {
  JsonObject object(value, what);
  Intent intent;
  object.integer("version", 1, 1);
  intent.commit_id = object.string("commit_id");
  intent.run_id = object.string("run_id");
  intent.rule_id = object.string("rule_id");
  intent.origin = object.string("origin") == "vetted" ? Origin::vetted : Origin::model;
  for (JsonObject& entry : object.objects("entries")) intent.entries.push_back(entry_from(std::move(entry)));
  object.finish();
  const auto count = static_cast<int64_t>(intent.entries.size());
  for (int64_t i = 0; i < count; ++i) {
    const IntentEntry& entry = intent.entries[static_cast<size_t>(i)];
    if (entry.inside >= i || entry.linked_to >= i)
      throw Error(Code::input, what, ": entry ", i, " refers to one that does not come before it");
  }
  return intent;
}

Intent read_intent(const Fd& commit_folder, const std::string& commit_id) {
  const std::string what = "commits/" + commit_id + "/intent.json";
  const Fd file = open_in_root_without_links(commit_folder, "intent.json", O_RDONLY);
  const std::vector<std::byte> bytes = read_file(file, kMaxIntentBytes, what);
  Intent intent = intent_from_json(parse_json(as_text(bytes), what), what);
  if (intent.commit_id != commit_id)
    throw Error(Code::input, what, ": expected commit ", commit_id, ", found ", printable(intent.commit_id));
  return intent;
}

bool has_file(const Fd& folder, const char* name) {
  return ::faccessat(folder.get(), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void settle_entries(Intent& intent) {
  int64_t new_folder = -1;
  for (size_t i = 0; i < intent.entries.size(); ++i) {
    IntentEntry& entry = intent.entries[i];
    const std::string& path = entry.change.path;
    check_target_path(path);
    if (i > 0 && !(intent.entries[i - 1].change.path < path))
      throw Error(Code::target, printable(path), ": changes must be sorted by path, each once");
    // Sorted by bytes, "/a-b" lies between "/a" and "/a/b", so look back by name, not by neighbour.
    entry.inside = -1;
    for (int64_t k = new_folder; k >= 0; --k) {
      const IntentEntry& folder = intent.entries[static_cast<size_t>(k)];
      const bool is_new_folder = folder.inside < 0 && folder.change.after.type == FileType::directory &&
                                 folder.change.before.type != FileType::directory;
      if (!is_new_folder || !is_within(path, folder.change.path)) continue;
      entry.inside = k;
      break;
    }
    if (entry.inside >= 0 && entry.change.before.type != FileType::absent)
      throw Error(Code::target, printable(path), ": lies in a folder that is new, and was there before");
    if (entry.inside < 0 && entry.change.after.type == FileType::directory &&
        entry.change.before.type != FileType::directory)
      new_folder = static_cast<int64_t>(i);
  }
}

bool is_as_before(const IntentEntry& entry, const FileState& found) {
  return same_as_side(entry, entry.change.before, found);
}

bool is_as_after(const IntentEntry& entry, const FileState& found) {
  return same_as_side(entry, entry.change.after, found);
}

bool is_between(const IntentEntry& entry, const FileState& found) {
  const FileState& before = entry.change.before;
  const FileState& after = entry.change.after;
  if (entry.action != Action::metadata || found.type != before.type) return false;
  if (!is_one_of(found, before, after, &FileState::uid) || !is_one_of(found, before, after, &FileState::gid))
    return false;
  const auto value_of = [](const FileState& state, const std::string& name) {
    const auto at = state.xattrs.find(name);
    return at == state.xattrs.end() ? std::string() : at->second;
  };
  bool has_lists = false;
  for (const auto& [name, value] : found.xattrs) {
    has_lists |= name.starts_with("system.posix_acl_");
    if (value != value_of(before, name) && value != value_of(after, name)) return false;
  }
  for (const FileState* state : {&before, &after})
    for (const auto& [name, value] : state->xattrs) has_lists |= name.starts_with("system.posix_acl_");
  // chown takes setuid and setgid away; an access control list sets the group's bits.
  const uint32_t kept = has_lists ? 01707U : 01777U;
  return (found.mode & kept) == (before.mode & kept) || (found.mode & kept) == (after.mode & kept);
}

}  // namespace gf
