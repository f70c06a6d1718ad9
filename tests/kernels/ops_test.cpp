// One table of op cases, run on every backend: near the reference, and a row's bits the same whatever
// other rows there are.
#include <cmath>
#include <cstdlib>
#include <functional>

#include "tests/kernels/backends.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

using test::all_backends;
using test::Backend;
using test::Bf16Weight;
using test::Matrix;

constexpr double kEps = 0x1.0p-24;
constexpr int64_t kRows = 19;  // no multiple of any tile

// out[r] for input rows `x`; called with all rows at once and with each alone.
using RowOp = std::function<void(Ops& ops, Tensor out, Tensor x, int64_t first_row)>;
struct RowCase {
  std::string name;
  int64_t out_columns, x_columns;
  double tolerance;  // of the largest result of a row
  RowOp run;
  double magnitude = 0;  // of what is subtracted on the way, where results may be much smaller
};

Matrix with_all(Ops& ops, const RowCase& op, Matrix x) {
  Matrix out(kRows, op.out_columns);
  op.run(ops, out.view(), x.view(), 0);
  return out;
}

Matrix one_by_one(Ops& ops, const RowCase& op, Matrix x) {
  Matrix out(kRows, op.out_columns);
  for (int64_t r = 0; r < kRows; ++r) op.run(ops, out.row(r), x.row(r), r);
  return out;
}

// The largest difference, as a share of what is allowed; NaN counts as too large.
double worst_share(const Matrix& found, const Matrix& expected, const RowCase& op) {
  double worst = 0;
  for (int64_t r = 0; r < expected.rows(); ++r) {
    double largest = op.magnitude;
    for (int64_t c = 0; c < expected.columns(); ++c) largest = std::max(largest, std::abs(double{expected.at(r, c)}));
    for (int64_t c = 0; c < expected.columns(); ++c) {
      const double share = std::abs(double{found.at(r, c)} - double{expected.at(r, c)}) / (op.tolerance * largest);
      if (std::isnan(share)) return share;
      worst = std::max(worst, share);
    }
  }
  return worst;
}

// Widths around vectors and tiles; the last are a real model's.
std::vector<RowCase> row_cases(std::vector<std::shared_ptr<Bf16Weight>>& keep) {
  std::vector<RowCase> cases;
  for (const int64_t columns : {1, 2, 31, 33, 64, 257}) {
    const auto weight = std::make_shared<Bf16Weight>(1, columns, 5);
    keep.push_back(weight);
    const double sums = static_cast<double>(columns + 8) * kEps;
    const auto norm = [weight] { return weight->numbers.view(); };
    const std::string width = " " + std::to_string(columns);
    cases.push_back({"rms_norm" + width, columns, columns, sums,
                     [=](Ops& ops, Tensor out, Tensor x, int64_t) { ops.rms_norm(out, x, norm(), 1e-6F); }});
    cases.push_back({"rms_norm without weight" + width, columns, columns, sums,
                     [=](Ops& ops, Tensor out, Tensor x, int64_t) { ops.rms_norm(out, x, {}, 1e-6F); }});
    cases.push_back({"add_rms_norm" + width, columns, columns, sums,
                     [=](Ops& ops, Tensor out, Tensor x, int64_t) { ops.add_rms_norm(out, x, norm(), 1e-6F); }});
    cases.push_back({"add" + width, columns, columns, 4 * kEps, [=](Ops& ops, Tensor out, Tensor x, int64_t) {
                       ops.add(out, x, 0.5F);
                       ops.add(out, x, 3.0F);
                     }});
    cases.push_back({"softcap" + width, columns, columns, 32 * kEps, [=](Ops& ops, Tensor out, Tensor x, int64_t) {
                       ops.add(out, x, 60.0F);
                       ops.softcap(out, 30.0F);
                     }});
    cases.push_back({"gelu_multiply" + width, columns, columns, 8 * kEps,
                     [=](Ops& ops, Tensor out, Tensor x, int64_t) {
                       ops.add(out, x, 9.0F);
                       ops.gelu_multiply(out, out, x);
                     },
                     9.0});
    cases.push_back({"scale" + width, columns, columns, 4 * kEps, [=](Ops& ops, Tensor out, Tensor x, int64_t) {
                       ops.add(out, x, 1.0F);
                       ops.scale(out, 0.3F, norm());
                     }});
  }
  for (const auto& [outputs, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 31}, {25, 33}, {49, 257}, {24, 5376}, {7, 9000}}) {
    const auto weight = std::make_shared<Bf16Weight>(outputs, columns, 7);
    keep.push_back(weight);
    cases.push_back({"matmul " + std::to_string(outputs) + " x " + std::to_string(columns), outputs, columns,
                     // Of a row's largest result, itself about sqrt(columns) of the largest product.
                     static_cast<double>(columns + 8) * 2 * kEps,
                     [=](Ops& ops, Tensor out, Tensor x, int64_t) { ops.matmul(out, x, weight->weight); }});
  }
  return cases;
}

}  // namespace

TEST_CASE("row_ops_are_near_the_reference_on_every_backend", "[kernels]") {
  std::vector<std::shared_ptr<Bf16Weight>> keep;
  const auto reference = make_ops("reference", 1);
  for (const RowCase& op : row_cases(keep)) {
    const Matrix x = Matrix::random(kRows, op.x_columns, 11);
    const Matrix expected = with_all(*reference, op, x);
    for (Backend& backend : all_backends()) {
      CAPTURE(op.name, backend.name);
      CHECK(worst_share(with_all(*backend.ops, op, x), expected, op) <= 1.0);
    }
  }
}

TEST_CASE("a_row_has_the_same_bits_alone_and_among_others", "[kernels]") {
  std::vector<std::shared_ptr<Bf16Weight>> keep;
  const auto cases = row_cases(keep);
  for (Backend& backend : all_backends()) {
    for (const RowCase& op : cases) {
      CAPTURE(op.name, backend.name);
      const Matrix x = Matrix::random(kRows, op.x_columns, 13);
      CHECK(with_all(*backend.ops, op, x) == one_by_one(*backend.ops, op, x));
    }
  }
}

TEST_CASE("many_rows_and_few_give_the_same_bits_in_matmul", "[kernels]") {
  // More rows than the few for which the columns are cut otherwise, and more columns than one cut.
  const Bf16Weight weight(26, 4160, 3);
  Matrix x = Matrix::random(70, 4160, 4);
  for (Backend& backend : all_backends()) {
    CAPTURE(backend.name);
    Matrix whole(70, 26);
    backend.ops->matmul(whole.view(), x.view(), weight.weight);
    for (const int64_t rows : {1, 2, 16, 17}) {
      Matrix part(rows, 26);
      backend.ops->matmul(part.view(), x.view().row_range(41, rows), weight.weight);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < 26; ++c) REQUIRE(part.at(r, c) == whole.at(41 + r, c));
    }
  }
}

TEST_CASE("norms_of_views_with_a_stride_touch_only_the_view", "[kernels]") {
  for (Backend& backend : all_backends()) {
    CAPTURE(backend.name);
    Matrix x = Matrix::random(3, 40, 9);
    const Matrix before = x;
    backend.ops->rms_norm(x.view().column_range(5, 33), x.view().column_range(5, 33), {}, 1e-6F);
    for (int64_t r = 0; r < 3; ++r)
      for (const int64_t c : {0, 4, 38, 39}) CHECK(x.at(r, c) == before.at(r, c));
  }
}

TEST_CASE("rotation_keeps_lengths_and_turns_by_position_times_frequency", "[kernels]") {
  const std::vector<float> frequencies = {1.0F, 0.25F, 0.0F};
  const std::vector<int32_t> positions = {0, 7};
  for (Backend& backend : all_backends()) {
    CAPTURE(backend.name);
    Matrix angles(2, 6);
    backend.ops->rope_angles(angles.view(), positions, frequencies);
    Matrix x = Matrix::random(2, 12, 21);  // two heads of six
    const Matrix before = x;
    backend.ops->rope(x.view(), 6, angles.view());
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t i = 0; i < 3; ++i) {
        const int64_t a = head * 6 + i;
        CHECK(x.at(0, a) == before.at(0, a));
        const double turn = 7.0 * double{frequencies[static_cast<size_t>(i)]};
        const double expected = before.at(1, a) * std::cos(turn) - before.at(1, a + 3) * std::sin(turn);
        CHECK(double{x.at(1, a)} == Approx(expected).margin(1e-6));
      }
    }
  }
}

TEST_CASE("a_wrong_shape_is_refused_with_the_name_of_the_op", "[kernels]") {
  const Bf16Weight weight(4, 8, 1);
  for (Backend& backend : all_backends()) {
    Matrix x(2, 7);
    Matrix out(2, 4);
    const Error error = test::error_of([&] { backend.ops->matmul(out.view(), x.view(), weight.weight); });
    CHECK(error.code() == Code::internal);
    CHECK(error.message().find("matmul: input: expected F32 [2, 8]") != std::string::npos);
  }
}

TEST_CASE("weights_in_a_format_not_built_are_refused_by_its_name", "[kernels]") {
  Bf16Weight weight(4, 8, 1);
  weight.weight.format = WeightFormat::nvfp4;
  for (Backend& backend : all_backends()) {
    Matrix x(2, 8);
    Matrix out(2, 4);
    const Error error = test::error_of([&] { backend.ops->matmul(out.view(), x.view(), weight.weight); });
    CHECK(error.code() == Code::unsupported);
    CHECK(error.message().find("nvfp4") != std::string::npos);
  }
}

TEST_CASE("an_instruction_set_that_is_not_there_is_refused", "[kernels]") {
  const Error error = test::error_of([] { make_cpu_ops(1, "MMX"); });
  CHECK(error.code() == Code::usage);
  CHECK(error.message().find(cpu_targets().front()) != std::string::npos);
}

TEST_CASE("the_environment_forces_an_instruction_set", "[kernels]") {
  setenv("GF_CPU_TARGET", cpu_targets().back().c_str(), 1);
  CHECK_NOTHROW(make_cpu_ops(1));
  setenv("GF_CPU_TARGET", "MMX", 1);
  CHECK(test::error_of([] { make_cpu_ops(1); }).code() == Code::usage);
  unsetenv("GF_CPU_TARGET");
}

TEST_CASE("ops_of_an_unknown_name_are_refused", "[kernels]") {
  CHECK(test::error_of([] { make_ops("abacus", 1); }).code() == Code::usage);
}

}  // namespace gf
