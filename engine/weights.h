// Where a model's tensors come from: a checkpoint folder, a bundle, a recipe. Bytes returned were
// already checked by the source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor.h"

namespace gf {

struct TensorInfo {
  DType dtype = DType::bf16;
  std::vector<int64_t> shape;
  [[nodiscard]] int64_t rows() const;             // the first dimension; 1 for a scalar
  [[nodiscard]] int64_t numbers_per_row() const;  // the product of the others
  [[nodiscard]] uint64_t bytes() const;
};
std::string shape_text(std::span<const int64_t> shape);  // "[2, 3]"

// Along a tensor's first dimension.
struct RowRange {
  int64_t first = 0;
  int64_t count = 0;
};

class WeightsSource {
 public:
  virtual ~WeightsSource() = default;
  [[nodiscard]] virtual std::optional<TensorInfo> find(std::string_view name) const = 0;
  // Little-endian, row-major; out holds exactly those rows. May be called from several threads.
  virtual void read(std::string_view name, RowRange rows, std::span<std::byte> out) const = 0;
  [[nodiscard]] virtual std::vector<std::string> names() const = 0;  // of all tensors, sorted
  // The text of a file beside the weights (config.json, tokenizer.json, generation_config.json ...).
  [[nodiscard]] virtual std::optional<std::string> text(std::string_view file_name) const = 0;
};

}  // namespace gf
