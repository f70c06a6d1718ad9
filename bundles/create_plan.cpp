// Reading m.toml.
#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "bundles/create.h"
#include "bundles/layout.h"
#include "bundles/limits.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_toml.h"

namespace gf {
namespace {

namespace fs = std::filesystem;

Time creation_time(TomlTable& file, Time now) {
  if (file.has("created")) return parse_time(file.string("created"), file.where("created") + ": created");
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  if (epoch == nullptr) return now;
  const std::string_view text(epoch);
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0)
    throw Error(Code::input, "SOURCE_DATE_EPOCH: expected seconds since 1970, found \"", printable(text), "\"");
  return Time(std::chrono::seconds(seconds));
}

std::vector<std::string> known_kinds() {
  std::vector<std::string> names;
  for (const Kind kind : kAllKinds) names.emplace_back(kind_name(kind));
  return names;
}

Kind read_kind(TomlTable& table) { return *kind_named(table.choice("kind", known_kinds())); }

void add_file(CreatePlan& plan, std::string name, const fs::path& source, Kind kind, const std::string& where) {
  std::error_code error;
  if (!fs::is_regular_file(source, error))
    throw Error(Code::input, where, ": expected a regular file, found none at ", source.native());
  FileEntry file;
  file.name = std::move(name);
  file.size = fs::file_size(source, error);
  if (error) throw Error(Code::io, where, ": cannot read the size of ", source.native(), ": ", error.message());
  file.kind = kind;
  try {
    check_name(file.name, where + ": name");
  } catch (const Error& problem) {
    throw Error(Code::input, problem.message());
  }
  plan.manifest.files.push_back(std::move(file));
  plan.sources.push_back(source);
}

bool is_hidden(const fs::path& relative) {
  return std::any_of(relative.begin(), relative.end(),
                     [](const fs::path& part) { return part.native().starts_with("."); });
}

void add_folder(CreatePlan& plan, TomlTable& table) {
  const fs::path folder = table.path("path");
  const std::string prefix = table.string_or("prefix", "");
  const bool one_kind = table.has("kind");
  const Kind given = one_kind ? read_kind(table) : Kind::other;
  if (!fs::is_directory(folder))
    throw Error(Code::input, table.where("path"), ": expected a folder, found none at ", folder.native());
  // A checkpoint's snapshot folder is often links into a store of blobs, so links to files are followed.
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && !is_hidden(entry.path().lexically_relative(folder))) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  if (found.empty()) throw Error(Code::input, table.where("path"), ": no files in ", folder.native());
  for (const fs::path& path : found) {
    const std::string relative = path.lexically_relative(folder).native();
    const std::string name = prefix.empty() ? relative : prefix + (prefix.ends_with("/") ? "" : "/") + relative;
    add_file(plan, name, path, one_kind ? given : kind_of_checkpoint_file(relative), table.where("path"));
  }
}

void read_hosts(Manifest& manifest, TomlTable& file) {
  manifest.hosts = file.strings_or_none("hosts");
  for (std::string& host : manifest.hosts)
    for (char& c : host)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  std::sort(manifest.hosts.begin(), manifest.hosts.end());
  manifest.hosts.erase(std::unique(manifest.hosts.begin(), manifest.hosts.end()), manifest.hosts.end());
}

}  // namespace

Kind kind_of_checkpoint_file(std::string_view name) {
  const std::string_view base = name.substr(name.rfind('/') + 1);
  if (base.ends_with(".safetensors") || base.ends_with(".safetensors.index.json")) return Kind::weights;
  if (base == "config.json" || base == "generation_config.json" || base == "preprocessor_config.json" ||
      base == "processor_config.json")
    return Kind::model_config;
  if ((base.starts_with("tokenizer") && (base.ends_with(".json") || base.ends_with(".model"))) ||
      base.starts_with("chat_template") || base == "special_tokens_map.json" || base == "added_tokens.json")
    return Kind::tokenizer;
  return Kind::other;
}

CreatePlan read_create_manifest(const fs::path& m_toml, Time now) {
  TomlTable file = TomlTable::parse_file(m_toml);
  CreatePlan plan;
  Manifest& manifest = plan.manifest;
  manifest.stream = file.string("stream");
  manifest.version = static_cast<uint64_t>(file.integer("version", 1, static_cast<int64_t>(kMaxVersion)));
  manifest.created = creation_time(file, now);
  manifest.expires = parse_time(file.string("expires"), file.where("expires") + ": expires");
  read_hosts(manifest, file);
  for (TomlTable& table : file.tables_or_none("file"))
    add_file(plan, table.string("name"), table.path("path"), read_kind(table), table.where());
  for (TomlTable& table : file.tables_or_none("folder")) add_folder(plan, table);
  file.finish();
  if (manifest.files.empty())
    throw Error(Code::input, m_toml.native(), ": expected at least one [[file]] or [[folder]]");
  try {  // what a verifier would refuse is refused before anything is written
    lay_out(manifest);
    parse_manifest(manifest_json(manifest));
  } catch (const Error& problem) {
    throw Error(Code::input, m_toml.native(), ": ", problem.message());
  }
  if (const size_t bytes = manifest_json(manifest).size(); bytes > kMaxManifestBytes)
    throw Error(Code::input, m_toml.native(), ": ", manifest.files.size(), " files make a manifest of ", bytes,
                " bytes, more than the limit of ", kMaxManifestBytes);
  if (const uint64_t bytes = chunk_count(manifest) * Digest::kBytes; bytes > kMaxTableBytes)
    throw Error(Code::input, m_toml.native(), ": the payload needs a chunk table of ", bytes,
                " bytes, more than the limit of ", kMaxTableBytes);
  return plan;
}

}  // namespace gf
