// Every backend that this machine can run, and random numbers for op cases.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/ops.h"

namespace gf::test {

struct Backend {
  std::string name;
  std::unique_ptr<Ops> ops;
};

// The reference, and the CPU with each instruction set, alone and with three threads (more than some machines have
// cores).
inline std::vector<Backend> all_backends() {
  std::vector<Backend> backends;
  backends.push_back({"reference", make_ops("reference", 1)});
  for (const std::string& target : cpu_targets())
    for (const int threads : {1, 3})
      backends.push_back({"cpu " + target + " threads " + std::to_string(threads), make_cpu_ops(threads, target)});
  return backends;
}

// Numbers of a matrix that owns them.
class Matrix {
 public:
  Matrix(int64_t rows, int64_t columns)
      : rows_(rows), columns_(columns), numbers_(static_cast<size_t>(rows * columns)) {}
  static Matrix random(int64_t rows, int64_t columns, uint32_t seed, float spread = 1.0F) {
    Matrix matrix(rows, columns);
    std::mt19937 generator(seed);
    for (float& x : matrix.numbers_) x = spread * (static_cast<float>(generator() >> 8U) / 8388608.0F - 1.0F);
    return matrix;
  }
  Matrix& round_to_bf16() {
    for (float& x : numbers_) x = rounded_to_bf16(x);
    return *this;
  }
  [[nodiscard]] Tensor view() { return matrix(numbers_.data(), DType::f32, rows_, columns_); }
  [[nodiscard]] Tensor row(int64_t r) { return view().row_range(r, 1); }
  [[nodiscard]] float at(int64_t r, int64_t c) const { return numbers_[static_cast<size_t>(r * columns_ + c)]; }
  bool operator==(const Matrix&) const = default;
  [[nodiscard]] const std::vector<float>& numbers() const { return numbers_; }
  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t columns() const { return columns_; }

 private:
  int64_t rows_, columns_;
  std::vector<float> numbers_;
};

// bf16 weights with rows as a backend wants them.
class Bf16Weight {
 public:
  Bf16Weight(int64_t rows, int64_t columns, uint32_t seed)
      : numbers(Matrix::random(rows, columns, seed).round_to_bf16()),
        memory_(allocate_host(static_cast<uint64_t>(rows * aligned_columns(columns)) * 2)) {
    auto* bits = reinterpret_cast<uint16_t*>(memory_.data());
    weight = {.rows = rows, .columns = columns, .stride = aligned_columns(columns), .data = bits};
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) bits[r * weight.stride + c] = bf16_of_float(numbers.at(r, c));
  }
  Matrix numbers;
  Weight weight;

 private:
  Buffer memory_;
};

}  // namespace gf::test
