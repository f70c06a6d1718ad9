#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>
#include <thread>

#include "engine/planner.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kCancelPoll = std::chrono::milliseconds(50);

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The limits that planner and engine share.
struct Limits {
  int64_t context;
  KvLimits kv;
  StepLimits step;
};

Limits limits_of(const ModelConfig& config, const EngineOptions& options) {
  if (options.max_sequences < 1 || options.max_context < 2 || options.step_tokens < options.max_sequences)
    throw Error(Code::input, "engine limits: max_sequences ", options.max_sequences, ", max_context ",
                options.max_context, ", step_tokens ", options.step_tokens,
                "; expected at least 1, 2 and as many as there are sequences");
  const int64_t context = std::min(options.max_context, config.max_position_embeddings);
  return {.context = context,
          .kv = {.sequences = options.max_sequences, .context = context, .step_tokens = options.step_tokens},
          .step = {.rows = options.step_tokens, .wanted = options.max_sequences}};
}

class BatchEngine : public Engine {
 public:
  BatchEngine(const ModelConfig& config, const WeightsSource& source, const EngineOptions& options)
      : config_(config),
        limits_(limits_of(config_, options)),
        ops_(make_ops(options.ops, options.threads)),
        weights_(load_weights(config_, source, *ops_)),
        cache_(config_, *ops_, limits_.kv),
        model_(config_, weights_, *ops_, limits_.step),
        allowed_(static_cast<size_t>(config_.vocab_size + 63) / 64),
        thread_([this] { work(); }) {}

  ~BatchEngine() override {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    arrived_.notify_all();
    thread_.join();
  }

  GenerateResult generate(GenerateRequest request) override;

  [[nodiscard]] EngineStats stats() const override {
    const std::scoped_lock lock(mutex_);
    return stats_;
  }
  [[nodiscard]] uint64_t weight_bytes() const override { return weights_.memory.bytes(); }
  [[nodiscard]] const ModelConfig& config() const override { return config_; }

 private:
  std::shared_ptr<Sequence> admit_request(GenerateRequest request) const;
  void work();
  bool gather();
  void run_step();
  void write_token(Sequence& sequence, std::span<const float> logits);
  void finish(Sequence& sequence, Finish how);
  void fail(Sequence& sequence, std::exception_ptr failure);

  ModelConfig config_;
  Limits limits_;
  std::unique_ptr<Ops> ops_;
  ModelWeights weights_;
  KvCache cache_;
  Gemma4 model_;
  Sampler sampler_;
  std::vector<uint64_t> allowed_;
  Sequences active_;  // the engine's thread alone

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::shared_ptr<Sequence>> waiting_;
  EngineStats stats_;
  bool stopping_ = false;
  std::thread thread_;
};

std::shared_ptr<Sequence> BatchEngine::admit_request(GenerateRequest request) const {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt < 1 || prompt >= limits_.context)
    throw Error(Code::input, "a prompt of ", prompt, " tokens; expected 1 to ", limits_.context - 1);
  if (request.max_new_tokens < 1)
    throw Error(Code::input, "max_new_tokens ", request.max_new_tokens, "; expected at least 1");
  for (const int32_t token : request.prompt)
    if (token < 0 || token >= config_.vocab_size)
      throw Error(Code::input, "prompt token ", token, "; expected 0 to ", config_.vocab_size - 1);
  auto sequence = std::make_shared<Sequence>();
  sequence->tokens = request.prompt;
  sequence->result.prompt_tokens = prompt;
  sequence->request = std::move(request);
  sequence->request.max_new_tokens = std::min(sequence->request.max_new_tokens, limits_.context - prompt);
  return sequence;
}

GenerateResult BatchEngine::generate(GenerateRequest request) {
  const auto start = Clock::now();
  const auto sequence = admit_request(std::move(request));
  const GenerateRequest& asked = sequence->request;
  std::unique_lock lock(mutex_);
  if (stopping_) throw Error(Code::internal, "the engine is stopping");
  waiting_.push_back(sequence);
  arrived_.notify_all();
  size_t shown = 0;
  for (bool finished = false; !finished;) {
    sequence->changed.wait_for(lock, kCancelPoll,
                               [&] { return sequence->finished || sequence->result.tokens.size() > shown; });
    finished = sequence->finished;
    const std::vector<int32_t> fresh(sequence->result.tokens.begin() + static_cast<int64_t>(shown),
                                     sequence->result.tokens.end());
    shown += fresh.size();
    lock.unlock();
    try {
      for (const int32_t token : fresh)
        if (asked.on_token) asked.on_token(token);
      if (!finished && asked.cancelled && asked.cancelled()) sequence->cancelled = true;
    } catch (...) {
      sequence->cancelled = true;
      throw;
    }
    lock.lock();
  }
  if (sequence->failure) std::rethrow_exception(sequence->failure);
  GenerateResult result = std::move(sequence->result);
  result.seconds = seconds_since(start);
  return result;
}

void BatchEngine::work() {
  ops_->attach_thread();
  while (gather()) {
    if (active_.empty()) continue;
    try {
      run_step();
    } catch (...) {
      // A failed step leaves the cache of all its sequences in doubt.
      for (const auto& sequence : active_) fail(*sequence, std::current_exception());
    }
    std::erase_if(active_, [](const auto& sequence) { return sequence->finished; });
  }
}

// Waits for work and admits what fits; every admitted sequence can finish, because the cache has room for
// max_sequences whole ones. False: the engine stops.
bool BatchEngine::gather() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return stopping_ || !waiting_.empty() || !active_.empty(); });
  while (!waiting_.empty() && static_cast<int64_t>(active_.size()) < limits_.kv.sequences) {
    waiting_.front()->slot = cache_.open_sequence();
    active_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  const bool stopping = stopping_;
  Sequences rest(waiting_.begin(), waiting_.end());
  if (stopping) waiting_.clear();
  lock.unlock();
  for (const auto& sequence : active_)
    if (stopping || sequence->cancelled) finish(*sequence, Finish::cancelled);
  if (stopping)
    for (const auto& sequence : rest) finish(*sequence, Finish::cancelled);
  std::erase_if(active_, [](const auto& sequence) { return sequence->finished; });
  return !stopping;
}

void BatchEngine::run_step() {
  const auto start = Clock::now();
  const Planned plan = plan_step(active_, cache_, limits_.step.rows);
  const Tensor logits = model_.forward(plan.step, cache_);
  {
    // Before anyone hears of a token of this step.
    const std::scoped_lock lock(mutex_);
    ++stats_.steps;
    stats_.prompt_tokens += plan.step.tokens.size() - plan.wanted.size();
    stats_.new_tokens += plan.wanted.size();
  }
  for (size_t i = 0; i < plan.wanted.size(); ++i) {
    try {
      write_token(*plan.wanted[i], {logits.f32(static_cast<int64_t>(i)), static_cast<size_t>(logits.columns)});
    } catch (...) {
      fail(*plan.wanted[i], std::current_exception());
    }
  }
  const std::scoped_lock lock(mutex_);
  stats_.busy_seconds += seconds_since(start);
}

void BatchEngine::write_token(Sequence& sequence, std::span<const float> logits) {
  const GenerateRequest& request = sequence.request;
  const auto written = static_cast<int64_t>(sequence.tokens.size()) - sequence.result.prompt_tokens;
  std::span<const uint64_t> allowed;
  if (request.filter) {
    std::fill(allowed_.begin(), allowed_.end(), 0);
    request.filter->allowed(allowed_, request.max_new_tokens - written);
    allowed = allowed_;
  }
  const int32_t token = sampler_.sample(logits, allowed, request.sampling, static_cast<uint64_t>(written));
  if (std::find(request.stop_ids.begin(), request.stop_ids.end(), token) != request.stop_ids.end()) {
    sequence.result.stop_token = token;
    return finish(sequence, Finish::stop);
  }
  if (request.filter) request.filter->accept(token);
  sequence.tokens.push_back(token);
  {
    const std::scoped_lock lock(mutex_);
    sequence.result.tokens.push_back(token);
  }
  if (request.filter && request.filter->done()) return finish(sequence, Finish::filter_done);
  if (written + 1 >= request.max_new_tokens) return finish(sequence, Finish::length);
  if (request.on_token) sequence.changed.notify_all();
}

void BatchEngine::finish(Sequence& sequence, Finish how) {
  if (sequence.slot >= 0) cache_.close_sequence(sequence.slot);
  sequence.slot = -1;
  const std::scoped_lock lock(mutex_);
  sequence.result.finish = how;
  sequence.finished = true;
  sequence.changed.notify_all();
}

void BatchEngine::fail(Sequence& sequence, std::exception_ptr failure) {
  if (sequence.finished) return;
  sequence.failure = std::move(failure);
  finish(sequence, Finish::cancelled);
}

}  // namespace

std::unique_ptr<Engine> Engine::load(const ModelConfig& config, const WeightsSource& weights,
                                     const EngineOptions& options) {
  return std::make_unique<BatchEngine>(config, weights, options);
}

MemoryPlan plan_memory(const ModelConfig& config, const WeightsSource& weights, const EngineOptions& options) {
  const Limits limits = limits_of(config, options);
  return {.weight_bytes = weight_bytes(config, weights),
          .kv_bytes = KvCache::bytes(config, limits.kv, cache_dtype_of(options.ops)),
          .workspace_bytes = Gemma4::workspace_bytes(config, limits.step)};
}

}  // namespace gf
