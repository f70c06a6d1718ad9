// Whom this host believes: the administrator's trust.toml. Every key is described in FORMAT.md,
// "The trust file". Anchors and revocation lists come from here and never from a bundle.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bundles/kinds.h"
#include "kernels/base/digest.h"

namespace gf {

struct Trust {
  std::filesystem::path anchors;              // folder of PEM files: self-signed CA certificates
  std::optional<std::filesystem::path> crls;  // folder of PEM or DER revocation lists
  bool require_crls = false;                  // every issuer on a path must have a list here
  std::filesystem::path state;                // highest versions seen, time floor, audit log
  bool allow_replay = true;                   // may the newest accepted bundle be accepted again?
  std::vector<std::string> hosts;             // names this host answers to, lower case

  // Distinct keys that must have signed for a kind of content, by Kind.
  std::array<size_t, kKindCount> threshold{};
  // Keys (SHA-384 of SubjectPublicKeyInfo) that count for a kind; absent: any key under an anchor.
  std::array<std::optional<std::set<Digest>>, kKindCount> signers{};
  // Keys that may sign reports; absent: any key under an anchor.
  std::optional<std::set<Digest>> report_signers;

  // Throws Code::input with line and column for anything wrong in the file; Code::io.
  static Trust read(const std::filesystem::path& trust_toml);

  [[nodiscard]] size_t required_for(Kind kind) const { return threshold[static_cast<size_t>(kind)]; }
  [[nodiscard]] bool counts_for(Kind kind, const Digest& key) const;
};

}  // namespace gf
