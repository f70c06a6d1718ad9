// The engine: a loaded model that many threads ask for text at once. One thread of its own puts the
// requests together into steps, prefill and decode mixed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/token_filter.h"
#include "engine/weights.h"

namespace gf {

struct Sampling {
  double temperature = 1.0;  // 0: greedy
  int top_k = 64;            // 0: all
  double top_p = 0.95;
  uint64_t seed = 0;  // equal seeds give equal text, whatever else runs at the same time
};

struct GenerateRequest {
  std::vector<int32_t> prompt;
  int64_t max_new_tokens = 0;
  Sampling sampling;
  std::vector<int32_t> stop_ids;
  std::shared_ptr<TokenFilter> filter;    // used on the engine's thread, by this request alone
  std::function<bool()> cancelled;        // asked on the caller's thread, several times a second
  std::function<void(int32_t)> on_token;  // called on the caller's thread
};

enum class Finish { stop, length, filter_done, cancelled };

struct GenerateResult {
  std::vector<int32_t> tokens;  // without the stop token
  Finish finish = Finish::length;
  int64_t prompt_tokens = 0;
  double seconds = 0;
  int32_t stop_token = -1;  // the one that ended it; -1 unless Finish::stop
};

struct EngineOptions {
  std::string ops = "cpu";
  int threads = 0;  // 0: all cores
  int64_t max_sequences = 8;
  int64_t max_context = 8192;
  int64_t step_tokens = 256;  // rows of one step, at most
};

struct EngineStats {
  uint64_t prompt_tokens = 0;
  uint64_t new_tokens = 0;
  uint64_t steps = 0;
  double busy_seconds = 0;  // time in steps
};

class Engine {
 public:
  // Code::input or Code::corrupt for a bad checkpoint (naming the tensor), Code::unsupported for what is
  // not implemented (naming the key), Code::memory.
  static std::unique_ptr<Engine> load(const ModelConfig& config, const WeightsSource& weights,
                                      const EngineOptions& options);
  virtual ~Engine() = default;

  // Blocks; called from many threads at once. A prompt that leaves no room within max_context for one
  // token is refused (Code::input); max_new_tokens is cut to the room there is.
  virtual GenerateResult generate(GenerateRequest request) = 0;
  [[nodiscard]] virtual EngineStats stats() const = 0;
  [[nodiscard]] virtual uint64_t weight_bytes() const = 0;
  [[nodiscard]] virtual const ModelConfig& config() const = 0;
};

}  // namespace gf
