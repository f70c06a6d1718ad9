// BundleSet, and a bundle's files as the engine's checkpoint files.
#include "runner/bundle_set.h"

#include <algorithm>
#include <map>

#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{16} << 20;

class BundleBytes : public ByteSource {
 public:
  explicit BundleBytes(const BundleSet::Found& found) : found_(found) {}
  [[nodiscard]] uint64_t size() const override { return found_.file->size; }
  void read(uint64_t offset, std::span<std::byte> out) const override {
    found_.bundle->read(*found_.file, offset, out);
  }

 private:
  BundleSet::Found found_;
};

class BundleCheckpoint : public CheckpointFiles {
 public:
  explicit BundleCheckpoint(std::map<std::string, BundleSet::Found, std::less<>> files) : files_(std::move(files)) {}
  [[nodiscard]] std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, found] : files_) names.push_back(name);
    return names;
  }
  [[nodiscard]] std::unique_ptr<ByteSource> open(std::string_view name) const override {
    const auto file = files_.find(name);
    if (file == files_.end()) throw Error(Code::input, "the model in the bundle has no file ", printable(name));
    return std::make_unique<BundleBytes>(file->second);
  }

 private:
  std::map<std::string, BundleSet::Found, std::less<>> files_;
};

bool belongs_to_a_checkpoint(Kind kind) {
  return kind == Kind::weights || kind == Kind::tokenizer || kind == Kind::model_config;
}

}  // namespace

BundleSet BundleSet::open(const Job& job, const Trust& trust, Time now) {
  BundleSet set;
  for (const Job::BundleReference& reference : job.bundles) {
    Bundle bundle = with_context("while opening the bundle " + reference.path.native(),
                                 [&] { return Bundle::open(reference.path, trust, now); });
    if (bundle.digest() != reference.digest)
      throw Error(Code::corrupt, reference.path.native(), ": expected the bundle with digest ", reference.digest.hex(),
                  ", as ", job.file.native(), " names it, found ", bundle.digest().hex(),
                  "; if this is the bundle you want, check it with gf-bundle inspect and change job.toml");
    set.bundles_.push_back(std::move(bundle));
  }
  return set;
}

void BundleSet::accept_all(const Trust& trust, Time now) const {
  for (const Bundle& bundle : bundles_) accept(bundle, trust, now);
}

BundleSet::Found BundleSet::find(Kind kind, std::string_view name) const {
  Found found;
  for (const Bundle& bundle : bundles_) {
    const FileEntry* file = bundle.find(name);
    if (file == nullptr) continue;
    if (file->kind != kind)
      throw Error(Code::forbidden, bundle.path().native(), ": ", printable(name), ": expected a file signed as ",
                  kind_name(kind), ", found one signed as ", kind_name(file->kind));
    if (found.file != nullptr && found.file->identity != file->identity)
      throw Error(Code::input, printable(name),
                  ": two bundles of this job have a file of that name, with different contents: ",
                  found.bundle->path().native(), " and ", bundle.path().native());
    found = {&bundle, file};
  }
  if (found.file == nullptr)
    throw Error(Code::input, "no bundle of this job has a file ", printable(name), " of kind ", kind_name(kind));
  return found;
}

BundleSet::Found BundleSet::only(Kind kind) const {
  Found found;
  for (const Bundle& bundle : bundles_) {
    for (const FileEntry& file : bundle.manifest().files) {
      if (file.kind != kind) continue;
      if (found.file != nullptr)
        throw Error(Code::input, "expected one file of kind ", kind_name(kind),
                    " in the bundles of this job, found two: ", found.file->name, " and ", file.name);
      found = {&bundle, &file};
    }
  }
  if (found.file == nullptr)
    throw Error(Code::input, "expected one file of kind ", kind_name(kind), " in the bundles of this job, found none");
  return found;
}

std::string BundleSet::text(const Found& found) {
  if (found.file->size > kMaxTextBytes)
    throw Error(Code::input, found.file->name, ": expected at most ", kMaxTextBytes, " bytes, found ",
                found.file->size);
  std::string text(found.file->size, '\0');
  found.bundle->read(*found.file, 0, std::as_writable_bytes(std::span<char>(text.data(), text.size())));
  if (!is_valid_utf8(text)) throw Error(Code::input, found.file->name, ": expected UTF-8 text, found other bytes");
  return text;
}

Fd BundleSet::memory(const Found& found) { return found.bundle->content(found.file->name); }

std::vector<BundleSet::Found> BundleSet::files_below(std::string_view folder) const {
  std::vector<Found> found;
  for (const Bundle& bundle : bundles_)
    for (const FileEntry& file : bundle.manifest().files)
      if (belongs_to_a_checkpoint(file.kind) && file.name.starts_with(folder)) found.push_back({&bundle, &file});
  if (found.empty())
    throw Error(Code::input, "no bundle of this job has model files below \"", printable(folder), "\"");
  return found;
}

std::unique_ptr<CheckpointFiles> BundleSet::checkpoint(std::string_view folder) const {
  std::map<std::string, Found, std::less<>> files;
  for (const Found& found : files_below(folder)) {
    const std::string name = found.file->name.substr(folder.size());
    if (!files.emplace(name, found).second)
      throw Error(Code::input, "two bundles of this job have the model file ", printable(found.file->name));
  }
  return std::make_unique<BundleCheckpoint>(std::move(files));
}

Digest BundleSet::checkpoint_digest(std::string_view folder) const {
  std::vector<std::string> lines;
  for (const Found& found : files_below(folder))
    lines.push_back(found.file->identity.hex() + " " + found.file->name.substr(folder.size()) + "\n");
  std::sort(lines.begin(), lines.end());
  Sha384 hash;
  for (const std::string& line : lines) hash.update(line);
  return hash.finish();
}

}  // namespace gf
