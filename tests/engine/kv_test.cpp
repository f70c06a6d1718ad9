#include "engine/kv.h"

#include <set>

#include "tests/engine/tiny_model.h"

namespace gf {
namespace {

constexpr KvLimits kLimits{.sequences = 3, .context = 1000, .step_tokens = 64};

}  // namespace

TEST_CASE("the_cache_allocates_what_is_planned", "[engine]") {
  for (const char* name : {"dense", "e2b", "moe"}) {
    const auto model = test::tiny_model(name);
    const auto ops = make_ops("cpu", 1);
    CHECK(KvCache(model.config, *ops, kLimits).bytes() == KvCache::bytes(model.config, kLimits, DType::bf16));
  }
}

TEST_CASE("sliding_layers_keep_their_window_only", "[engine]") {
  const auto model = test::tiny_model();  // window 8
  const auto ops = make_ops("reference", 1);
  KvCache cache(model.config, *ops, kLimits);
  const int64_t all = cache.free_pages(LayerType::sliding);
  CHECK(all < 3 * 1000 / kPageTokens);
  const int32_t sequence = cache.open_sequence();
  for (int64_t position = 0; position < 1000; ++position) cache.prepare(sequence, position, position + 1);
  CHECK(all - cache.free_pages(LayerType::sliding) <= 2);
  cache.close_sequence(sequence);
  CHECK(cache.free_pages(LayerType::sliding) == all);
}

TEST_CASE("pages_never_run_out_within_the_limits", "[engine]") {
  const auto model = test::tiny_model();
  const auto ops = make_ops("reference", 1);
  KvCache cache(model.config, *ops, kLimits);
  std::vector<int32_t> sequences = {cache.open_sequence(), cache.open_sequence(), cache.open_sequence()};
  std::vector<int64_t> lengths(3, 0);
  // Uneven steps of 64 tokens in all until every sequence is full.
  for (int64_t step = 0; lengths[0] < 1000 || lengths[1] < 1000 || lengths[2] < 1000; ++step) {
    for (size_t s = 0; s < 3; ++s) cache.prepare(sequences[s], lengths[s], lengths[s]);
    int64_t left = 64;
    for (size_t i = 0; i < 3; ++i) {
      const size_t s = (i + static_cast<size_t>(step)) % 3;
      const int64_t take = std::min({left, i == 2 ? left : (step * 7 + 3) % 50, 1000 - lengths[s]});
      REQUIRE_NOTHROW(cache.prepare(sequences[s], lengths[s], lengths[s] + take));
      lengths[s] += take;
      left -= take;
    }
  }
  CHECK(cache.free_pages(LayerType::full) >= 0);
}

TEST_CASE("two_sequences_never_share_a_page", "[engine]") {
  const auto model = test::tiny_model();
  const auto ops = make_ops("reference", 1);
  KvCache cache(model.config, *ops, kLimits);
  const int32_t first = cache.open_sequence();
  const int32_t second = cache.open_sequence();
  cache.prepare(first, 0, 60);
  cache.prepare(second, 0, 60);
  for (const int64_t layer : {0, 5}) {
    const KvView view = cache.view(layer);
    std::set<int64_t> places;
    for (const int32_t sequence : {first, second})
      for (int64_t p = 40; p < 60; ++p) places.insert(view.offset(sequence, p, 0));
    CHECK(places.size() == 40);
  }
}

TEST_CASE("positions_beyond_the_context_are_a_defect", "[engine]") {
  const auto model = test::tiny_model();
  const auto ops = make_ops("reference", 1);
  KvCache cache(model.config, *ops, kLimits);
  const int32_t sequence = cache.open_sequence();
  CHECK(test::error_of([&] { cache.prepare(sequence, 990, 1001); }).code() == Code::internal);
}

}  // namespace gf
