// The process that signs. The report key is read here and nowhere else: this child of the launcher
// runs no script, loads no content, and is gone when the signature is made.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "kernels/base/fd.h"

namespace gf {

class Channel;   // runner/channel.h
class Launcher;  // runner/launcher.h

struct ReportKey {
  std::filesystem::path key;                 // PEM, unencrypted, readable by root alone
  std::filesystem::path certificate;         // PEM, the signer's own
  std::vector<std::filesystem::path> chain;  // PEM, the intermediates, without the anchor
};

// Detached CMS (DER) over the manifest, made by a child "signer".
std::vector<std::byte> sign_in_child(Launcher& launcher, const ReportKey& key, std::string_view manifest);

// Entry point "signer". Request: {"key": path, "certificate": path, "chain": [path],
// "manifest": text}; answer:
// {"signature": bytes}.
int signer_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds);

}  // namespace gf
