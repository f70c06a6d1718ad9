// What a file in a bundle is for. A file is used only as the kind that its signers gave it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace gf {

enum class Kind { weights, tokenizer, model_config, scap, job, prompt, policy, other };

inline constexpr std::array<Kind, 8> kAllKinds = {Kind::weights, Kind::tokenizer, Kind::model_config, Kind::scap,
                                                  Kind::job,     Kind::prompt,    Kind::policy,       Kind::other};
inline constexpr size_t kKindCount = kAllKinds.size();

// "weights", "tokenizer", "model-config", "scap", "job", "prompt", "policy", "other": the words of
// manifests, trust files and JSON output.
std::string_view kind_name(Kind kind);
std::optional<Kind> kind_named(std::string_view name);

}  // namespace gf
