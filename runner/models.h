// The models of one job and the roles they play: loaded once, asked from several threads.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runner/bundle_set.h"
#include "runner/job_manifest.h"
#include "runner/prompt.h"

namespace gf {

class Models {
 public:
  struct Answer {
    std::string json;    // fits the schema asked for; empty if the answer was not finished
    std::string reason;  // why there is none
    double seconds = 0;
  };
  struct Loaded {
    std::string name;
    std::vector<std::string> roles;
    Digest digest;
    std::string format;
    uint64_t bytes = 0;
    bool demo = false;
    std::string note;
  };

  // Loads each model that a role uses, and the prompts, from the verified bundles. `set` must outlive it.
  // Throws what the engine's loader throws, naming the model.
  static std::unique_ptr<Models> load(const BundleSet& set, const JobManifest& manifest, const Job& job);
  ~Models();

  [[nodiscard]] bool has(RoleKind role) const;
  // The parts below the role's own prompt, as one user message; the answer is held to `schema`.
  // A repetition loop is tried once more with another seed. Thread safe.
  Answer ask(RoleKind role, const nlohmann::json& schema, const std::vector<PromptPart>& parts, uint64_t seed,
             const std::function<bool()>& cancelled);

  [[nodiscard]] std::vector<Loaded> loaded() const;
  // Name and digest of every prompt.
  [[nodiscard]] std::vector<std::pair<std::string, Digest>> prompts() const;

 private:
  Models();
  struct State;
  std::unique_ptr<State> state_;
};

// One line for each model: name, bytes of weights, cache and workspace; from headers alone.
std::vector<std::string> describe_models(const BundleSet& set, const JobManifest& manifest, const Job& job);

}  // namespace gf
