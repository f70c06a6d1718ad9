#include "kernels/tensor.h"

#include <sys/mman.h>

#include "kernels/base/error.h"

namespace gf {

int64_t bytes_of(DType dtype) {
  switch (dtype) {
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16:
    case DType::f16: return 2;
    case DType::f8_e4m3:
    case DType::i8:
    case DType::u8:
    case DType::boolean: return 1;
  }
  throw Error(Code::internal, "unknown number type ", static_cast<int>(dtype));
}

std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "F32";
    case DType::bf16: return "BF16";
    case DType::f16: return "F16";
    case DType::f8_e4m3: return "F8_E4M3";
    case DType::i64: return "I64";
    case DType::i32: return "I32";
    case DType::i8: return "I8";
    case DType::u8: return "U8";
    case DType::boolean: return "BOOL";
  }
  throw Error(Code::internal, "unknown number type ", static_cast<int>(dtype));
}

Tensor matrix(void* data, DType dtype, int64_t rows, int64_t columns) {
  return Tensor{.data = data, .dtype = dtype, .rows = rows, .columns = columns, .stride = columns};
}

Tensor Tensor::row_range(int64_t first, int64_t count) const {
  if (first < 0 || count < 0 || first + count > rows)
    throw Error(Code::internal, "rows ", first, " to ", first + count, " of a tensor of ", rows);
  Tensor view = *this;
  view.data = static_cast<std::byte*>(data) + first * stride * bytes_of(dtype);
  view.rows = count;
  return view;
}

Tensor Tensor::column_range(int64_t first, int64_t count) const {
  if (first < 0 || count < 0 || first + count > columns)
    throw Error(Code::internal, "columns ", first, " to ", first + count, " of a tensor of ", columns);
  Tensor view = *this;
  view.data = static_cast<std::byte*>(data) + first * bytes_of(dtype);
  view.columns = count;
  return view;
}

Tensor Tensor::reshaped(int64_t new_rows, int64_t new_columns) const {
  if (!contiguous() || new_rows * new_columns != rows * columns)
    throw Error(Code::internal, "a tensor of ", rows, " x ", columns, " (stride ", stride, ") is not one of ", new_rows,
                " x ", new_columns);
  return matrix(data, dtype, new_rows, new_columns);
}

Buffer allocate_host(uint64_t bytes) {
  if (bytes == 0) return {};
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) throw Error(Code::memory, "the system refused ", bytes, " bytes of memory");
  // Advice only: without large pages everything still works, slower.
  madvise(data, bytes, MADV_HUGEPAGE);
  return Buffer(data, bytes, [](void* address, uint64_t size) { munmap(address, size); });
}

}  // namespace gf
