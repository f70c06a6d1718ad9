// Writing and strictly reading the list that is signed.
#include "runner/report_manifest.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"
#include "kernels/base/text.h"
#include "runner/record.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr int kManifestVersion = 1;
constexpr int64_t kMaxFileBytes = int64_t{1} << 40;

ReportManifest parse_fields(const json& value) {
  JsonObject object(value, "manifest");
  if (object.string("format") != "gf-report") throw Error(Code::corrupt, "manifest.format: expected \"gf-report\"");
  object.integer("version", kManifestVersion, kManifestVersion);
  ReportManifest manifest;
  manifest.run_id = object.string("run_id");
  check_run_id(manifest.run_id);
  manifest.journal_head = Digest::from_hex(object.string("journal_head"), "manifest.journal_head");
  static constexpr std::array<std::string_view, 4> kNames = {kJournalFile, kPageFile, kReportFile, kResultsFile};
  for (JsonObject& file : object.objects("files")) {
    ManifestFile entry;
    entry.name = file.string("name");
    entry.digest = Digest::from_hex(file.string("sha384"), file.path() + ".sha384");
    entry.size = static_cast<uint64_t>(file.integer("size", 0, kMaxFileBytes));
    file.finish();
    if (std::find(kNames.begin(), kNames.end(), entry.name) == kNames.end())
      throw Error(Code::corrupt, file.path(), ".name: \"", printable(shortened(entry.name, 80)),
                  "\" is no file of a report");
    if (!manifest.files.empty() && entry.name <= manifest.files.back().name)
      throw Error(Code::corrupt, file.path(), ".name: the files are not sorted, or one is listed twice");
    manifest.files.push_back(std::move(entry));
  }
  object.finish();
  return manifest;
}

}  // namespace

std::string ReportManifest::text() const {
  json list = json::array();
  for (const ManifestFile& file : files)
    list.push_back({{"name", file.name}, {"sha384", file.digest.hex()}, {"size", file.size}});
  return canonical_json({{"format", "gf-report"},
                         {"version", kManifestVersion},
                         {"run_id", run_id},
                         {"journal_head", journal_head.hex()},
                         {"files", list}});
}

ReportManifest ReportManifest::parse(std::string_view text) {
  try {
    const json value = parse_json(text, "manifest.json", {.depth = 4, .floats_allowed = false});
    ReportManifest manifest = parse_fields(value);
    if (manifest.text() != text) throw Error(Code::corrupt, "manifest.json: not in canonical form");
    for (const std::string_view name : {kJournalFile, kPageFile, kReportFile})
      if (std::none_of(manifest.files.begin(), manifest.files.end(),
                       [&](const ManifestFile& f) { return f.name == name; }))
        throw Error(Code::corrupt, "manifest.json: does not list ", name);
    return manifest;
  } catch (const Error& error) {
    throw Error(Code::corrupt, error.message());
  }
}

}  // namespace gf
