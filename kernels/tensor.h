// A Tensor says where numbers are and never owns them; a Buffer owns. Everything the model computes
// is a matrix: rows (tokens, or tokens x heads) of `columns` neighbouring numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace gf {

enum class DType : uint8_t { f32, bf16, f16, f8_e4m3, i64, i32, i8, u8, boolean };

int64_t bytes_of(DType dtype);
std::string_view dtype_name(DType dtype);  // as safetensors spells it: "BF16"

// Rows of weights and of cached keys begin at multiples of 32 numbers; what is added is zero. So a
// kernel may read whole vectors of any width up to 32.
constexpr int64_t kColumnAlign = 32;
constexpr int64_t aligned_columns(int64_t columns) {
  return (columns + kColumnAlign - 1) / kColumnAlign * kColumnAlign;
}

struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;  // numbers from one row to the next, >= columns

  [[nodiscard]] float* f32(int64_t row = 0) const { return static_cast<float*>(data) + row * stride; }
  [[nodiscard]] bool empty() const { return data == nullptr; }
  [[nodiscard]] bool contiguous() const { return stride == columns; }
  [[nodiscard]] Tensor row_range(int64_t first, int64_t count) const;
  [[nodiscard]] Tensor column_range(int64_t first, int64_t count) const;
  // The same numbers with other row ends; contiguous tensors only (Code::internal otherwise).
  [[nodiscard]] Tensor reshaped(int64_t new_rows, int64_t new_columns) const;
};

Tensor matrix(void* data, DType dtype, int64_t rows, int64_t columns);
inline Tensor matrix(std::span<float> numbers, int64_t rows, int64_t columns) {
  return matrix(numbers.data(), DType::f32, rows, columns);
}

// Memory of a backend; who made it says how it is freed.
class Buffer {
 public:
  using Free = void (*)(void* data, uint64_t bytes);
  Buffer() = default;
  Buffer(void* data, uint64_t bytes, Free free) : data_(data), bytes_(bytes), free_(free) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ != nullptr) free_(data_, bytes_);
  }
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(data_); }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(free_, other.free_);
  }
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
  Free free_ = nullptr;
};

// Zeroed host memory from the system, page by page as it is touched; large pages are asked for.
// Throws Code::memory.
Buffer allocate_host(uint64_t bytes);

}  // namespace gf
