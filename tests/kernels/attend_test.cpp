// Attention over a paged cache, and experts, on every backend.
#include <cmath>

#include "tests/kernels/backends.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

using test::all_backends;
using test::Backend;
using test::Bf16Weight;
using test::Matrix;

struct Shape {
  int64_t heads, kv_heads, head_dim, window;
};

// Two sequences of 70 positions, their pages mixed up.
class Cache {
 public:
  static constexpr int64_t kPositions = 70;
  Cache(Ops& ops, const Shape& shape) : table_{4, 0, 2, 1, 5, 3} {
    const uint64_t bytes = static_cast<uint64_t>(6 * shape.kv_heads * 32 * aligned_columns(shape.head_dim) * 4);
    keys_ = ops.allocate(bytes);
    values_ = ops.allocate(bytes);
    view = {.keys = keys_.data(),
            .values = values_.data(),
            .dtype = ops.cache_dtype(),
            .kv_heads = shape.kv_heads,
            .head_dim = shape.head_dim,
            .page_tokens = 32,
            .table = table_.data(),
            .pages_per_sequence = 3};
  }
  KvView view;

 private:
  std::vector<int32_t> table_;
  Buffer keys_, values_;
};

struct Rows {
  std::vector<int32_t> positions, sequences;
  [[nodiscard]] StepRows view() const { return {.positions = positions, .sequences = sequences}; }
};

Rows all_positions() {
  Rows rows;
  for (int32_t sequence = 0; sequence < 2; ++sequence)
    for (int32_t p = 0; p < Cache::kPositions; ++p) {
      rows.positions.push_back(p);
      rows.sequences.push_back(sequence);
    }
  return rows;
}

Matrix attended(Ops& ops, const Shape& shape, Matrix& q, bool row_by_row) {
  const Rows rows = all_positions();
  const auto count = static_cast<int64_t>(rows.positions.size());
  Matrix k = Matrix::random(count, shape.kv_heads * shape.head_dim, 2).round_to_bf16();
  Matrix v = Matrix::random(count, shape.kv_heads * shape.head_dim, 3).round_to_bf16();
  Cache cache(ops, shape);
  Matrix out(count, shape.heads * shape.head_dim);
  const Attend how{.heads = shape.heads, .window = shape.window, .scale = 1.0F};
  if (!row_by_row) {
    ops.store_kv(cache.view, k.view(), v.view(), rows.view());
    ops.attend(out.view(), q.view(), cache.view, rows.view(), how);
    return out;
  }
  for (int64_t r = 0; r < count; ++r) {
    const StepRows one{.positions = std::span(rows.positions).subspan(static_cast<size_t>(r), 1),
                       .sequences = std::span(rows.sequences).subspan(static_cast<size_t>(r), 1)};
    ops.store_kv(cache.view, k.row(r), v.row(r), one);
    ops.attend(out.row(r), q.row(r), cache.view, one, how);
  }
  return out;
}

const std::vector<Shape> kShapes = {{4, 4, 32, 0}, {8, 1, 20, 33}, {6, 2, 64, 1}, {5, 1, 48, 0}, {14, 2, 96, 31}};

}  // namespace

TEST_CASE("attention_is_near_the_reference_on_every_backend", "[kernels]") {
  const auto reference = make_ops("reference", 1);
  for (const Shape& shape : kShapes) {
    Matrix q = Matrix::random(2 * Cache::kPositions, shape.heads * shape.head_dim, 1, 2.0F);
    const Matrix expected = attended(*reference, shape, q, false);
    for (Backend& backend : all_backends()) {
      CAPTURE(backend.name, shape.heads, shape.head_dim, shape.window);
      const Matrix found = attended(*backend.ops, shape, q, false);
      double worst = 0;
      for (size_t i = 0; i < found.numbers().size(); ++i)
        worst = std::max(worst, std::abs(double{found.numbers()[i]} - double{expected.numbers()[i]}));
      // Values are at most 1; scores of head_dim products carry the rounding of their sum into the weights.
      CHECK(worst <= static_cast<double>(shape.head_dim) * 8 * 0x1.0p-24);
    }
  }
}

TEST_CASE("a_prompt_at_once_and_token_by_token_give_the_same_bits", "[kernels]") {
  for (Backend& backend : all_backends()) {
    for (const Shape& shape : kShapes) {
      CAPTURE(backend.name, shape.heads, shape.head_dim, shape.window);
      Matrix q = Matrix::random(2 * Cache::kPositions, shape.heads * shape.head_dim, 1);
      CHECK(attended(*backend.ops, shape, q, false) == attended(*backend.ops, shape, q, true));
    }
  }
}

TEST_CASE("a_window_of_one_returns_the_rows_own_value", "[kernels]") {
  const Shape shape{2, 2, 32, 1};
  for (Backend& backend : all_backends()) {
    CAPTURE(backend.name);
    Matrix q = Matrix::random(2 * Cache::kPositions, 64, 1, 30.0F);
    const Matrix v = Matrix::random(2 * Cache::kPositions, 64, 3).round_to_bf16();
    CHECK(attended(*backend.ops, shape, q, false) == v);
  }
}

TEST_CASE("routing_takes_the_best_experts_and_their_share", "[kernels]") {
  std::vector<float> logits = {0, 2, 1, 2};
  std::vector<float> scales = {1, 10, 1, 1};
  for (Backend& backend : all_backends()) {
    Routing routing;
    backend.ops->route(routing, matrix(logits, 1, 4), matrix(scales, 1, 4), 3);
    REQUIRE(routing.experts == std::vector<int32_t>{1, 3, 2});
    const double sum = 2 + std::exp(-1.0);
    CHECK(double{routing.weights[0]} == Approx(10 / sum));
    CHECK(double{routing.weights[2]} == Approx(std::exp(-1.0) / sum));
  }
}

TEST_CASE("experts_are_near_the_reference_and_combine_in_order", "[kernels]") {
  std::vector<Bf16Weight> owners;
  std::vector<Weight> experts;
  owners.reserve(3);
  for (uint32_t e = 0; e < 3; ++e) experts.push_back(owners.emplace_back(30, 70, e).weight);
  const Routing routing{.top_k = 2, .experts = {0, 2, 2, 0, 1, 2}, .weights = {.5F, .5F, .25F, .75F, 1, 2}};
  Matrix x = Matrix::random(3, 70, 8);
  Matrix expected(6, 30);
  const auto reference = make_ops("reference", 1);
  reference->matmul_experts(expected.view(), x.view(), experts, routing);
  for (Backend& backend : all_backends()) {
    CAPTURE(backend.name);
    Matrix found(6, 30);
    backend.ops->matmul_experts(found.view(), x.view(), experts, routing);
    for (size_t i = 0; i < found.numbers().size(); ++i)
      CHECK(double{found.numbers()[i]} == Approx(double{expected.numbers()[i]}).margin(70 * 70 * 0x1.0p-24));
    Matrix sum(3, 30);
    backend.ops->combine_experts(sum.view(), found.view(), routing);
    CHECK(sum.at(2, 4) == found.at(4, 4) + 2.0F * found.at(5, 4));
  }
}

}  // namespace gf
