#include "kernels/ops.h"

#include "kernels/base/error.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/reference/reference_ops.h"

namespace gf {

std::string_view format_name(WeightFormat format) {
  switch (format) {
    case WeightFormat::bf16: return "bf16";
    case WeightFormat::nvfp4: return "nvfp4";
    case WeightFormat::int4: return "int4";
  }
  throw Error(Code::internal, "unknown weight format ", static_cast<int>(format));
}

Weight Weight::row_range(int64_t first, int64_t count) const {
  if (format != WeightFormat::bf16 || first < 0 || count < 0 || first + count > rows)
    throw Error(Code::internal, "rows ", first, " to ", first + count, " of a ", format_name(format), " weight of ",
                rows);
  Weight part = *this;
  part.data = static_cast<const uint16_t*>(data) + first * stride;
  part.rows = count;
  return part;
}

DType cache_dtype_of(std::string_view name) { return name == "reference" ? DType::f32 : DType::bf16; }

std::unique_ptr<Ops> make_ops(std::string_view name, int threads) {
  if (name == "reference") return std::make_unique<ReferenceOps>();
  if (name == "cpu") return make_cpu_ops(threads);
  throw Error(Code::usage, "unknown ops \"", name, "\": expected reference or cpu");
}

}  // namespace gf
