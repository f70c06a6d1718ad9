#include "kernels/cpu/cpu_ops.h"

#include <algorithm>
#include <cstdlib>

#include "kernels/bf16.h"
#include "kernels/checks.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/reference/reference_ops.h"

namespace gf {
namespace {

// Less work than this is done by the caller alone: waking the others costs a few microseconds.
constexpr int64_t kMultiplyAddsWorthThreads = 64 * 1024;
constexpr int64_t kNumbersWorthThreads = 16 * 1024;
constexpr int64_t kPartsPerThread = 4;

// The small ops (embedding, gathering, routing) are the specification's own loops.
class CpuOps : public ReferenceOps {
 public:
  CpuOps(int threads, const cpu::Target& target)
      : target_(target),
        kernels_(cpu::kernels_of(target)),
        pool_(threads),
        scratch_(static_cast<size_t>(pool_.threads())) {}

  [[nodiscard]] std::string_view name() const override { return "cpu"; }
  [[nodiscard]] DType cache_dtype() const override { return DType::bf16; }
  void attach_thread() override { pool_.attach_caller(); }

  void rms_norm(Tensor out, Tensor x, Tensor weight, float eps) override {
    require_norm("rms_norm", out, x, weight);
    each_row(x, [&](int64_t r) { kernels_.rms_norm(out.f32(r), x.f32(r), weight.f32(), x.columns, eps, false); });
  }
  void add_rms_norm(Tensor out, Tensor x, Tensor weight, float eps) override {
    require_norm("add_rms_norm", out, x, weight);
    each_row(x, [&](int64_t r) { kernels_.rms_norm(out.f32(r), x.f32(r), weight.f32(), x.columns, eps, true); });
  }
  void add(Tensor out, Tensor x, float scale) override {
    require_same("add", out, x);
    each_row(x, [&](int64_t r) { kernels_.add(out.f32(r), x.f32(r), x.columns, scale); });
  }
  void scale(Tensor x, float factor, Tensor weight) override {
    require_norm("scale", x, x, weight);
    each_row(x, [&](int64_t r) { kernels_.scale(x.f32(r), weight.f32(), x.columns, factor); });
  }
  void softcap(Tensor x, float cap) override {
    require_same("softcap", x, x);
    each_row(x, [&](int64_t r) { kernels_.softcap(x.f32(r), x.columns, cap); });
  }
  void gelu_multiply(Tensor out, Tensor gate, Tensor up) override {
    require_same("gelu_multiply", out, gate);
    require_same("gelu_multiply", up, gate);
    each_row(out, [&](int64_t r) { kernels_.gelu_multiply(out.f32(r), gate.f32(r), up.f32(r), out.columns); });
  }
  void rope(Tensor x, int64_t head_dim, Tensor angles) override;
  void matmul(Tensor out, Tensor x, const Weight& w) override;
  void store_kv(const KvView& cache, Tensor k, Tensor v, const StepRows& rows) override;
  void attend(Tensor out, Tensor q, const KvView& cache, const StepRows& rows, Attend how) override;
  void matmul_experts(Tensor out, Tensor x, std::span<const Weight> experts, const Routing& routing) override;

 private:
  // row(r) for every row, several at a time where there is enough to do.
  template <typename F>
  void each_row(const Tensor& x, F row) {
    const int64_t parts = parts_for(x.rows, x.rows * x.columns, kNumbersWorthThreads);
    pool_.run(parts, [&](int64_t part, int /*thread*/) {
      for (int64_t r = part * x.rows / parts; r < (part + 1) * x.rows / parts; ++r) row(r);
    });
  }
  // Into how many pieces `items` are cut for `work`.
  [[nodiscard]] int64_t parts_for(int64_t items, int64_t work, int64_t worth) const {
    return work < worth ? std::min<int64_t>(items, 1) : std::min(items, kPartsPerThread * pool_.threads());
  }
  void pack_rows(const Tensor& x);
  void multiply(std::span<const float* const> x, std::span<float* const> out, const Weight& w);

  cpu::Target target_;
  cpu::Kernels kernels_;
  ThreadPool pool_;
  std::vector<std::vector<float>> scratch_;  // per thread
  std::vector<float> packed_;                // the input of the matmul under way
  std::vector<const float*> packed_rows_;
  std::vector<const float*> chosen_rows_;
  std::vector<float*> out_rows_;
};

void CpuOps::rope(Tensor x, int64_t head_dim, Tensor angles) {
  require_shape("rope", "angles", angles, x.rows, head_dim);
  const int64_t pairs = head_dim / 2;
  each_row(x, [&](int64_t r) {
    for (float* head = x.f32(r); head < x.f32(r) + x.columns; head += head_dim)
      kernels_.rotate(head, head + pairs, angles.f32(r), angles.f32(r) + pairs, pairs);
  });
}

void CpuOps::pack_rows(const Tensor& x) {
  const int64_t width = aligned_columns(x.columns);
  // One block more than needed: reading a little beyond the last row is harmless.
  packed_.resize(std::max(packed_.size(), static_cast<size_t>(x.rows * width + kColumnAlign)));
  packed_rows_.resize(static_cast<size_t>(x.rows));
  for (int64_t r = 0; r < x.rows; ++r) packed_rows_[static_cast<size_t>(r)] = packed_.data() + r * width;
  each_row(x, [&](int64_t r) { kernels_.pack(packed_.data() + r * width, x.f32(r), x.columns); });
}

// Each thread takes outputs, so that it alone reads their weights.
void CpuOps::multiply(std::span<const float* const> x, std::span<float* const> out, const Weight& w) {
  const auto rows = static_cast<int64_t>(x.size());
  constexpr int64_t kLeast = 24;
  const int64_t parts = parts_for((w.rows + kLeast - 1) / kLeast, rows * w.rows * w.columns, kMultiplyAddsWorthThreads);
  pool_.run(parts, [&](int64_t part, int thread) {
    // Cut at multiples of kLeast, the size of a block in the kernel.
    const int64_t blocks = (w.rows + kLeast - 1) / kLeast;
    kernels_.matmul({.x = x.data(),
                     .out = out.data(),
                     .rows = rows,
                     .weights = static_cast<const uint16_t*>(w.data),
                     .stride = w.stride,
                     .columns = aligned_columns(w.columns),
                     .first = std::min(part * blocks / parts * kLeast, w.rows),
                     .last = std::min((part + 1) * blocks / parts * kLeast, w.rows),
                     .scratch = &scratch_[static_cast<size_t>(thread)]});
  });
}

void CpuOps::matmul(Tensor out, Tensor x, const Weight& w) {
  require_matmul(out, x, w);
  if (x.rows == 0) return;
  pack_rows(x);
  out_rows_.clear();
  for (int64_t r = 0; r < out.rows; ++r) out_rows_.push_back(out.f32(r));
  multiply(packed_rows_, out_rows_, w);
}

void CpuOps::matmul_experts(Tensor out, Tensor x, std::span<const Weight> experts, const Routing& routing) {
  require_experts(out, x, experts, routing);
  if (x.rows == 0) return;
  pack_rows(x);
  const int64_t per_row = out.rows / x.rows;
  for (size_t expert = 0; expert < experts.size(); ++expert) {
    chosen_rows_.clear();
    out_rows_.clear();
    for (int64_t choice = 0; choice < out.rows; ++choice) {
      if (routing.experts[static_cast<size_t>(choice)] != static_cast<int32_t>(expert)) continue;
      chosen_rows_.push_back(packed_rows_[static_cast<size_t>(choice / per_row)]);
      out_rows_.push_back(out.f32(choice));
    }
    if (!chosen_rows_.empty()) multiply(chosen_rows_, out_rows_, experts[expert]);
  }
}

void CpuOps::store_kv(const KvView& cache, Tensor k, Tensor v, const StepRows& rows) {
  require_store(cache, k, v, rows);
  each_row(k, [&](int64_t r) {
    const auto row = static_cast<size_t>(r);
    for (int64_t h = 0; h < cache.kv_heads; ++h) {
      const int64_t at = cache.offset(rows.sequences[row], rows.positions[row], h);
      uint16_t* key = static_cast<uint16_t*>(cache.keys) + at;
      uint16_t* value = static_cast<uint16_t*>(cache.values) + at;
      std::transform(k.f32(r) + h * cache.head_dim, k.f32(r) + (h + 1) * cache.head_dim, key, bf16_of_float);
      std::transform(v.f32(r) + h * cache.head_dim, v.f32(r) + (h + 1) * cache.head_dim, value, bf16_of_float);
    }
  });
}

void CpuOps::attend(Tensor out, Tensor q, const KvView& cache, const StepRows& rows, Attend how) {
  require_attend(out, q, cache, rows, how);
  const int64_t group = how.heads / cache.kv_heads;
  const int64_t dim = aligned_columns(cache.head_dim);
  int64_t seen = 0;
  for (const int32_t position : rows.positions)
    seen += how.window == 0 ? position + 1 : std::min<int64_t>(position + 1, how.window);
  const int64_t items = q.rows * cache.kv_heads;
  const auto one = [&](int64_t item, int thread) {
    const int64_t r = item / cache.kv_heads;
    const int64_t h = item % cache.kv_heads;
    const int64_t last = rows.positions[static_cast<size_t>(r)];
    kernels_.attend({.q = q.f32(r) + h * group * cache.head_dim,
                     .out = out.f32(r) + h * group * cache.head_dim,
                     .heads = group,
                     .head_dim = cache.head_dim,
                     .keys = static_cast<const uint16_t*>(cache.keys),
                     .values = static_cast<const uint16_t*>(cache.values),
                     .pages = cache.table + rows.sequences[static_cast<size_t>(r)] * cache.pages_per_sequence,
                     .page_tokens = cache.page_tokens,
                     .page_stride = cache.kv_heads * cache.page_tokens * dim,
                     .head_offset = h * cache.page_tokens * dim,
                     .first = how.window == 0 ? 0 : std::max<int64_t>(0, last - how.window + 1),
                     .last = last,
                     .scale = how.scale,
                     .pack = kernels_.pack,
                     .scratch = &scratch_[static_cast<size_t>(thread)]});
  };
  if (2 * seen * how.heads * dim < kMultiplyAddsWorthThreads) {
    for (int64_t item = 0; item < items; ++item) one(item, 0);
  } else {
    pool_.run(items, one);
  }
}

}  // namespace

std::unique_ptr<Ops> make_cpu_ops(int threads) {
  const char* forced = std::getenv("GF_CPU_TARGET");
  if (forced != nullptr && *forced != '\0') return make_cpu_ops(threads, std::string(forced));
  return std::make_unique<CpuOps>(threads, cpu::usable_targets().front());
}

std::unique_ptr<Ops> make_cpu_ops(int threads, const std::string& name) {
  std::string known;
  for (const cpu::Target& target : cpu::usable_targets()) {
    if (target.name == name) return std::make_unique<CpuOps>(threads, target);
    known += (known.empty() ? "" : ", ") + target.name;
  }
  throw Error(Code::usage, "GF_CPU_TARGET: this processor or this build has no ", name, "; it has ", known);
}

std::vector<std::string> cpu_targets() {
  std::vector<std::string> names;
  for (const cpu::Target& target : cpu::usable_targets()) names.push_back(target.name);
  return names;
}

}  // namespace gf
