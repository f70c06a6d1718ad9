// A verified bundle. Holding a Bundle means that its signatures, manifest, freshness and chunk table
// were checked against this host's trust; every byte given out is checked against that table in the
// very buffer in which it is given out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "bundles/cms.h"
#include "bundles/manifest.h"
#include "bundles/trust.h"
#include "kernels/base/fd.h"
#include "kernels/base/text.h"

namespace gf {

// (payload bytes verified so far, payload bytes in all); called by one thread at a time.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

// What each worker of a pass over the payload reads with.
enum class PlainDigests { skip, check };

class Bundle {
 public:
  // Steps 1 to 6 of FORMAT.md and the chunk table's digest. Reads the anti-rollback state and never
  // writes it. Throws Code::corrupt, not_trusted, stale, wrong_host, io.
  static Bundle open(const std::filesystem::path& path, const Trust& trust, Time now, const Explain& explain = {});

  [[nodiscard]] const Manifest& manifest() const;
  // The bundle's identity: SHA-384 of the manifest's bytes. Signatures are no part of it.
  [[nodiscard]] const Digest& digest() const;
  [[nodiscard]] const std::vector<SignerIdentity>& signers() const;
  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] std::string_view manifest_bytes() const;
  [[nodiscard]] const std::vector<std::vector<std::byte>>& signatures() const;

  [[nodiscard]] const FileEntry* find(std::string_view name) const;
  // A sealed memfd that holds the file's verified bytes; for files of at most kMaxContentBytes that
  // are not weights. Throws Code::input for an unknown name, Code::corrupt.
  [[nodiscard]] Fd content(std::string_view name) const;
  // Fills `out` from `offset` on. Each chunk touched is hashed in the buffer that it was read into;
  // the chunks last used are kept, so that sequential readers hash each chunk once. Thread safe.
  // Throws Code::input outside the file, Code::corrupt (and clears `out`) if the bytes differ.
  void read(std::string_view name, uint64_t offset, std::span<std::byte> out) const;
  void read(const FileEntry& file, uint64_t offset, std::span<std::byte> out) const;

  // Steps 7 and 8: every chunk, in parallel, each read once; then the tar's entries against the
  // manifest. PlainDigests::check also compares each file's plain SHA-384.
  void verify_payload(const Progress& progress = {}, PlainDigests plain = PlainDigests::skip) const;

 private:
  friend class PayloadReader;
  struct State;
  explicit Bundle(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;  // copies share it; it never changes
};

// Records that this host accepted the bundle: the stream's highest version, the time floor, CRL
// numbers, and a line in the audit log, all durable on return. Freshness is checked again under the
// state's lock. Throws Code::stale, Code::io.
void accept(const Bundle& bundle, const Trust& trust, Time now);

}  // namespace gf
