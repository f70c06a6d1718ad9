#include "engine/sampler.h"

#include <cmath>
#include <map>

#include "tests/support/catch.h"

namespace gf {
namespace {

const std::vector<float> kLogits = {0.0F, 2.0F, 1.0F, 2.0F, -1.0F};
constexpr Sampling kGreedy{.temperature = 0, .top_k = 0, .top_p = 1, .seed = 0};

}  // namespace

TEST_CASE("greedy_takes_the_lowest_of_equal_tokens", "[engine]") {
  Sampler sampler;
  CHECK(sampler.sample(kLogits, {}, kGreedy, 0) == 1);
}

TEST_CASE("only_allowed_tokens_are_drawn", "[engine]") {
  Sampler sampler;
  const std::vector<uint64_t> allowed = {0b10100};
  CHECK(sampler.sample(kLogits, allowed, kGreedy, 0) == 2);
  for (uint64_t i = 0; i < 200; ++i) {
    const int32_t token = sampler.sample(kLogits, allowed, {.temperature = 5, .top_k = 0, .top_p = 1, .seed = 3}, i);
    CHECK((token == 2 || token == 4));
  }
}

TEST_CASE("no_allowed_token_is_an_error_and_never_a_guess", "[engine]") {
  Sampler sampler;
  const std::vector<uint64_t> none = {0};
  CHECK(test::error_of([&] { sampler.sample(kLogits, none, kGreedy, 0); }).code() == Code::internal);
  const std::vector<float> broken = {NAN, NAN};
  CHECK(test::error_of([&] { sampler.sample(broken, {}, kGreedy, 0); }).code() == Code::internal);
}

TEST_CASE("draws_follow_the_softmax", "[engine]") {
  Sampler sampler;
  std::map<int32_t, int> seen;
  constexpr int kDraws = 20000;
  for (uint64_t i = 0; i < kDraws; ++i)
    ++seen[sampler.sample(kLogits, {}, {.temperature = 1, .top_k = 0, .top_p = 1, .seed = 9}, i)];
  double sum = 0;
  for (const float logit : kLogits) sum += std::exp(double{logit});
  for (size_t token = 0; token < kLogits.size(); ++token) {
    const double p = std::exp(double{kLogits[token]}) / sum;
    // Five standard deviations.
    CHECK(std::abs(seen[static_cast<int32_t>(token)] - kDraws * p) < 5 * std::sqrt(kDraws * p * (1 - p)));
  }
}

TEST_CASE("top_k_and_top_p_leave_out_the_tail", "[engine]") {
  Sampler sampler;
  for (uint64_t i = 0; i < 300; ++i) {
    const int32_t by_k = sampler.sample(kLogits, {}, {.temperature = 3, .top_k = 3, .top_p = 1, .seed = 1}, i);
    CHECK((by_k == 1 || by_k == 2 || by_k == 3));
    // The two best hold 0.78 of the mass; the third is needed to reach 0.8, no more.
    const int32_t by_p = sampler.sample(kLogits, {}, {.temperature = 1, .top_k = 0, .top_p = 0.5, .seed = 1}, i);
    CHECK((by_p == 1 || by_p == 3));
  }
}

TEST_CASE("equal_seeds_give_equal_draws_and_others_differ", "[engine]") {
  CHECK(uniform_draw(7, 3) == uniform_draw(7, 3));
  CHECK(uniform_draw(7, 3) != uniform_draw(8, 3));
  CHECK(uniform_draw(7, 3) != uniform_draw(7, 4));
}

}  // namespace gf
