#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "engine/planner.h"
#include "tests/engine/tiny_model.h"

namespace gf {
namespace {

std::unique_ptr<Engine> engine_of(const std::string& name = "dense", EngineOptions options = {}) {
  const auto model = test::tiny_model(name);
  return Engine::load(model.config, *model.source, options);
}

GenerateRequest request_of(std::vector<int32_t> prompt, int64_t tokens, double temperature = 0, uint64_t seed = 0) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_new_tokens = tokens;
  request.sampling.temperature = temperature;
  request.sampling.seed = seed;
  return request;
}

std::vector<int32_t> prompt_of(int32_t length, int32_t first) {
  std::vector<int32_t> prompt = {2};
  for (int32_t i = 1; i < length; ++i) prompt.push_back((first + i * 37) % 384);
  return prompt;
}

// Allows odd tokens, then one even token, which ends the text.
class OddThenEven : public TokenFilter {
 public:
  void allowed(std::span<uint64_t> bits, int64_t tokens_left) override {
    left.push_back(tokens_left);
    std::fill(bits.begin(), bits.end(), tokens_left > 1 ? 0xAAAAAAAAAAAAAAAAU : 0x5555555555555555U);
  }
  void accept(int32_t token) override { done_ = token % 2 == 0; }
  [[nodiscard]] bool done() const override { return done_; }
  std::vector<int64_t> left;

 private:
  bool done_ = false;
};

class Broken : public TokenFilter {
 public:
  void allowed(std::span<uint64_t>, int64_t) override { throw Error(Code::input, "a bad schema"); }
  void accept(int32_t) override {}
  [[nodiscard]] bool done() const override { return false; }
};

}  // namespace

TEST_CASE("sixteen_at_once_write_what_each_writes_alone", "[engine]") {
  for (const char* name : {"dense", "e4b", "moe"}) {
    const auto alone = engine_of(name, {.max_sequences = 1, .max_context = 256, .step_tokens = 256});
    const auto together = engine_of(name, {.max_sequences = 5, .max_context = 256, .step_tokens = 24});
    std::vector<std::vector<int32_t>> expected, found(16);
    for (int32_t i = 0; i < 16; ++i)
      expected.push_back(alone->generate(request_of(prompt_of(3 + 5 * i, i), 20, i % 2, 7)).tokens);
    std::vector<std::thread> threads;
    for (int32_t i = 0; i < 16; ++i)
      threads.emplace_back([&, i] {
        found[static_cast<size_t>(i)] = together->generate(request_of(prompt_of(3 + 5 * i, i), 20, i % 2, 7)).tokens;
      });
    for (std::thread& thread : threads) thread.join();
    CHECK(found == expected);
    CHECK(together->stats().new_tokens == 16 * 20);
  }
}

TEST_CASE("a_seed_makes_a_text_repeatable", "[engine]") {
  const auto engine = engine_of();
  const auto first = engine->generate(request_of(prompt_of(5, 1), 30, 1.0, 1)).tokens;
  CHECK(engine->generate(request_of(prompt_of(5, 1), 30, 1.0, 1)).tokens == first);
  CHECK(engine->generate(request_of(prompt_of(5, 1), 30, 1.0, 2)).tokens != first);
}

TEST_CASE("a_stop_token_ends_the_text_and_is_not_in_it", "[engine]") {
  const auto engine = engine_of();
  const auto all = engine->generate(request_of(prompt_of(5, 1), 12));
  REQUIRE(all.tokens.size() == 12);
  CHECK(all.finish == Finish::length);
  GenerateRequest request = request_of(prompt_of(5, 1), 12);
  request.stop_ids = {all.tokens[6]};
  const auto stopped = engine->generate(request);
  const auto at = std::find(all.tokens.begin(), all.tokens.end(), all.tokens[6]) - all.tokens.begin();
  CHECK(stopped.finish == Finish::stop);
  CHECK(stopped.stop_token == all.tokens[6]);
  CHECK(stopped.tokens == std::vector<int32_t>(all.tokens.begin(), all.tokens.begin() + at));
}

TEST_CASE("a_filter_says_what_may_come_and_when_the_text_is_done", "[engine]") {
  const auto engine = engine_of();
  const auto filter = std::make_shared<OddThenEven>();
  GenerateRequest request = request_of(prompt_of(5, 1), 6, 1.0, 4);
  request.filter = filter;
  const auto result = engine->generate(request);
  CHECK(result.finish == Finish::filter_done);
  REQUIRE(result.tokens.size() == 6);
  for (size_t i = 0; i < 6; ++i) CHECK(result.tokens[i] % 2 == (i < 5 ? 1 : 0));
  CHECK(filter->left == std::vector<int64_t>{6, 5, 4, 3, 2, 1});
}

TEST_CASE("a_filter_that_fails_fails_its_own_request_only", "[engine]") {
  const auto engine = engine_of();
  GenerateRequest request = request_of(prompt_of(5, 1), 6);
  request.filter = std::make_shared<Broken>();
  CHECK(test::error_of([&] { engine->generate(request); }).message() == "a bad schema");
  CHECK(engine->generate(request_of(prompt_of(5, 1), 6)).tokens.size() == 6);
}

TEST_CASE("tokens_are_shown_in_order_and_cancelling_stops", "[engine]") {
  const auto engine = engine_of("dense", {.max_context = 4096});
  std::vector<int32_t> shown;
  GenerateRequest request = request_of(prompt_of(5, 1), 4000);
  request.on_token = [&](int32_t token) { shown.push_back(token); };
  request.cancelled = [&] { return shown.size() >= 3; };
  const auto result = engine->generate(request);
  CHECK(result.finish == Finish::cancelled);
  CHECK(shown == result.tokens);
  CHECK(shown.size() < 4000);
}

TEST_CASE("an_error_of_the_caller_leaves_the_engine_working", "[engine]") {
  const auto engine = engine_of();
  GenerateRequest request = request_of(prompt_of(5, 1), 50);
  request.on_token = [](int32_t) { throw Error(Code::io, "the disk is full"); };
  CHECK(test::error_of([&] { engine->generate(request); }).code() == Code::io);
  CHECK(engine->generate(request_of(prompt_of(5, 1), 6)).tokens.size() == 6);
}

TEST_CASE("the_context_limits_a_text", "[engine]") {
  const auto engine = engine_of("dense", {.max_context = 40});
  CHECK(engine->generate(request_of(prompt_of(30, 1), 100)).tokens.size() == 10);
  CHECK(test::error_of([&] { engine->generate(request_of(prompt_of(40, 1), 1)); }).code() == Code::input);
  CHECK(test::error_of([&] { engine->generate(request_of({}, 1)); }).code() == Code::input);
  CHECK(test::error_of([&] { engine->generate(request_of({384}, 1)); }).code() == Code::input);
  CHECK(test::error_of([&] { engine->generate(request_of({2}, 0)); }).code() == Code::input);
}

TEST_CASE("the_plan_is_what_is_allocated", "[engine]") {
  for (const char* name : {"dense", "untied", "e2b", "moe"}) {
    const auto model = test::tiny_model(name);
    const EngineOptions options{.max_sequences = 3, .max_context = 100};
    const MemoryPlan plan = plan_memory(model.config, *model.source, options);
    CHECK(plan.weight_bytes == Engine::load(model.config, *model.source, options)->weight_bytes());
    CHECK(plan.kv_bytes > 0);
    CHECK(plan.workspace_bytes > 0);
  }
}

}  // namespace gf
