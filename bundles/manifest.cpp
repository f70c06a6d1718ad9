// Manifest: strict reading, canonical writing, and the rules for names.
#include "bundles/manifest.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "bundles/layout.h"
#include "bundles/limits.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

constexpr std::string_view kFormat = "gf-bundle";
constexpr int64_t kFormatVersion = 1;
constexpr size_t kDepth = 4;

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_name_character(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') ||
         std::string_view("._-+@=,").find(c) != std::string_view::npos;
}

std::string folded(std::string_view name) {
  std::string text(name);
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string shown(std::string_view name) { return "\"" + printable(shortened(name, 120)) + "\""; }

FileEntry read_file_entry(JsonObject object) {
  FileEntry file;
  file.name = object.string("name");
  check_name(file.name, object.path() + ".name");
  file.size = static_cast<uint64_t>(object.integer("size", 0, static_cast<int64_t>(kMaxPayloadBytes)));
  file.offset = static_cast<uint64_t>(object.integer("offset", 0, static_cast<int64_t>(kMaxPayloadBytes)));
  const std::string kind = object.string("kind");
  const std::optional<Kind> known = kind_named(kind);
  if (!known) throw Error(Code::corrupt, object.path(), ".kind: unknown kind ", shown(kind));
  file.kind = *known;
  file.sha384 = Digest::from_hex(object.string("sha384"), object.path() + ".sha384");
  object.finish();
  return file;
}

void check_host(std::string_view host, std::string_view what) {
  const bool fits = !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
    return is_lower_or_digit(c) || c == '.' || c == '-';
  });
  if (!fits) throw Error(Code::corrupt, what, ": expected a lower-case host name, found ", shown(host));
}

// The offsets and the payload's size follow from names and sizes; a manifest that states others lies.
void check_layout(const Manifest& manifest) {
  uint64_t total = 0;
  for (const FileEntry& file : manifest.files) total += file.size;  // each at most 2^43, at most 2^22 of them: fits
  if (total > kMaxPayloadBytes)
    throw Error(Code::corrupt, "manifest.files: ", total, " bytes in all, more than the limit of ", kMaxPayloadBytes,
                " (endless data attack)");
  Manifest expected = manifest;
  lay_out(expected);
  for (size_t i = 0; i < manifest.files.size(); ++i)
    if (manifest.files[i].offset != expected.files[i].offset)
      throw Error(Code::corrupt, "manifest.files[", i, "].offset: expected ", expected.files[i].offset, ", found ",
                  manifest.files[i].offset);
  if (manifest.payload_size != expected.payload_size)
    throw Error(Code::corrupt, "manifest.payload_size: expected ", expected.payload_size, ", found ",
                manifest.payload_size);
}

Manifest read_manifest(std::string_view text) {
  const nlohmann::json json = parse_json(text, "manifest", {.depth = kDepth, .floats_allowed = false});
  JsonObject object(json, "manifest");
  if (const std::string format = object.string("format"); format != kFormat)
    throw Error(Code::corrupt, "manifest.format: expected \"", kFormat, "\", found ", shown(format));
  object.integer("format_version", kFormatVersion, kFormatVersion);
  object.integer("chunk_bytes", static_cast<int64_t>(kChunkBytes), static_cast<int64_t>(kChunkBytes));
  Manifest manifest;
  manifest.stream = object.string("stream");
  check_stream(manifest.stream, "manifest.stream");
  manifest.version = static_cast<uint64_t>(object.integer("version", 1, static_cast<int64_t>(kMaxVersion)));
  manifest.created = parse_time(object.string("created"), "manifest.created");
  manifest.expires = parse_time(object.string("expires"), "manifest.expires");
  if (manifest.created.time_since_epoch().count() < 0 || manifest.expires <= manifest.created)
    throw Error(Code::corrupt, "manifest.expires: expected a time after manifest.created, found ",
                format_time(manifest.expires));
  manifest.hosts = object.strings("hosts");
  if (manifest.hosts.size() > kMaxHosts) throw Error(Code::corrupt, "manifest.hosts: more than ", kMaxHosts, " hosts");
  for (const std::string& host : manifest.hosts) check_host(host, "manifest.hosts");
  const auto not_ascending = [](const std::string& a, const std::string& b) { return !(a < b); };
  if (std::adjacent_find(manifest.hosts.begin(), manifest.hosts.end(), not_ascending) != manifest.hosts.end())
    throw Error(Code::corrupt, "manifest.hosts: expected sorted names, each once");
  manifest.payload_size =
      static_cast<uint64_t>(object.integer("payload_size", 1, static_cast<int64_t>(kMaxPayloadBytes)));
  manifest.table_sha384 = Digest::from_hex(object.string("table_sha384"), "manifest.table_sha384");
  for (JsonObject& file : object.objects("files")) manifest.files.push_back(read_file_entry(std::move(file)));
  object.finish();
  if (manifest.files.empty()) throw Error(Code::corrupt, "manifest.files: expected at least one file");
  return manifest;
}

}  // namespace

void check_name(std::string_view name, std::string_view what) {
  const auto refuse = [&](std::string_view why) { return Error(Code::corrupt, what, ": ", why, ": ", shown(name)); };
  if (name.empty()) throw refuse("an empty name");
  if (name.size() > kMaxNameBytes) throw refuse("a name longer than 1024 bytes");
  if (name.front() == '/') throw refuse("an absolute name");
  std::string_view rest = name;
  while (true) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part.empty()) throw refuse("an empty part in a name");
    if (part == "." || part == "..") throw refuse("a name with \".\" or \"..\"");
    if (part.size() > kMaxNamePartBytes) throw refuse("a part longer than 255 bytes in a name");
    if (part.front() == '-') throw refuse("a part that begins with \"-\" in a name");
    if (!std::all_of(part.begin(), part.end(), is_name_character))
      throw refuse("a character other than A-Z a-z 0-9 . _ - + @ = , in a name");
    if (part.size() == rest.size()) return;
    rest.remove_prefix(part.size() + 1);
  }
}

void check_stream(std::string_view stream, std::string_view what) {
  const bool fits = !stream.empty() && stream.size() <= kMaxStreamBytes && is_lower_or_digit(stream.front()) &&
                    std::all_of(stream.begin(), stream.end(),
                                [](char c) { return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-'; });
  if (!fits)
    throw Error(Code::corrupt, what, ": expected 1 to ", kMaxStreamBytes,
                " characters a-z 0-9 . _ - beginning with a letter or digit, found ", shown(stream));
}

void check_names_differ(const std::vector<FileEntry>& files) {
  std::map<std::string, std::string_view> seen;
  for (const FileEntry& file : files) {
    const auto [place, is_new] = seen.emplace(folded(file.name), file.name);
    if (!is_new)
      throw Error(Code::corrupt, "manifest.files: two names that differ at most in case: ", shown(place->second),
                  " and ", shown(file.name));
  }
  for (const auto& [name, original] : seen)
    for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
      if (const auto file = seen.find(name.substr(0, slash)); file != seen.end())
        throw Error(Code::corrupt, "manifest.files: ", shown(file->second), " is a file and the folder of ",
                    shown(original));
}

std::string manifest_json(const Manifest& manifest) {
  nlohmann::json files = nlohmann::json::array();
  for (const FileEntry& file : manifest.files)
    files.push_back({{"name", file.name},
                     {"size", file.size},
                     {"offset", file.offset},
                     {"kind", std::string(kind_name(file.kind))},
                     {"sha384", file.sha384.hex()}});
  return canonical_json({{"format", std::string(kFormat)},
                         {"format_version", kFormatVersion},
                         {"chunk_bytes", kChunkBytes},
                         {"stream", manifest.stream},
                         {"version", manifest.version},
                         {"created", format_time(manifest.created)},
                         {"expires", format_time(manifest.expires)},
                         {"hosts", manifest.hosts},
                         {"payload_size", manifest.payload_size},
                         {"table_sha384", manifest.table_sha384.hex()},
                         {"files", std::move(files)}});
}

Manifest parse_manifest(std::string_view text) {
  try {
    Manifest manifest = read_manifest(text);
    check_names_differ(manifest.files);
    check_layout(manifest);
    if (manifest_json(manifest) != text)
      throw Error(Code::corrupt, "manifest: not in its canonical form (keys sorted, no spaces, nothing after it)");
    return manifest;
  } catch (const Error& error) {
    throw Error(Code::corrupt, "step 5 (manifest): ", error.message());
  }
}

}  // namespace gf
