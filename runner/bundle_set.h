// The bundles of one job, opened and verified: a file is looked up by kind and name in all of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundles/bundle.h"
#include "engine/safetensors.h"
#include "runner/job.h"

namespace gf {

class BundleSet {
 public:
  BundleSet() = default;  // no bundles

  // Opens every bundle of the job and compares its digest with the one that job.toml names
  // (Code::wrong_host, not_trusted, stale, corrupt, io as Bundle::open; Code::corrupt if another bundle
  // lies at that path). Writes nothing.
  static BundleSet open(const Job& job, const Trust& trust, Time now);

  // Records in the trust's state folder that this host accepted each bundle.
  void accept_all(const Trust& trust, Time now) const;

  [[nodiscard]] const std::vector<Bundle>& bundles() const { return bundles_; }

  struct Found {
    const Bundle* bundle = nullptr;
    const FileEntry* file = nullptr;
  };
  // The one file of that kind and name. Throws Code::input if there is none, or one in two bundles.
  [[nodiscard]] Found find(Kind kind, std::string_view name) const;
  // The only file of that kind. Throws Code::input if there is none or more than one.
  [[nodiscard]] Found only(Kind kind) const;

  // Verified bytes as text (prompts, policies, job manifests), or as a sealed memfd.
  [[nodiscard]] static std::string text(const Found& found);
  [[nodiscard]] static Fd memory(const Found& found);

  // A checkpoint: all weights, tokenizer and model-config files whose names begin with `folder`.
  // Throws Code::input if there are none. The set must outlive the result.
  [[nodiscard]] std::unique_ptr<CheckpointFiles> checkpoint(std::string_view folder) const;
  // SHA-384 over the sorted lines "identity name\n" of those files.
  [[nodiscard]] Digest checkpoint_digest(std::string_view folder) const;

 private:
  std::vector<Found> files_below(std::string_view folder) const;
  std::vector<Bundle> bundles_;
};

}  // namespace gf
