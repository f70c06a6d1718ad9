#include "engine/weights.h"

namespace gf {

int64_t TensorInfo::rows() const { return shape.empty() ? 1 : shape[0]; }

int64_t TensorInfo::numbers_per_row() const {
  int64_t product = 1;
  for (size_t i = 1; i < shape.size(); ++i) product *= shape[i];
  return product;
}

uint64_t TensorInfo::bytes() const { return static_cast<uint64_t>(rows() * numbers_per_row() * bytes_of(dtype)); }

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace gf
