// The names of kinds.
#include "bundles/kinds.h"

namespace gf {

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::weights: return "weights";
    case Kind::tokenizer: return "tokenizer";
    case Kind::model_config: return "model-config";
    case Kind::scap: return "scap";
    case Kind::job: return "job";
    case Kind::prompt: return "prompt";
    case Kind::policy: return "policy";
    case Kind::other: break;
  }
  return "other";
}

std::optional<Kind> kind_named(std::string_view name) {
  for (const Kind kind : kAllKinds)
    if (kind_name(kind) == name) return kind;
  return std::nullopt;
}

}  // namespace gf
