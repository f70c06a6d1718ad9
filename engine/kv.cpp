#include "engine/kv.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace gf {
namespace {

int64_t pages_for(int64_t positions) { return (positions + kPageTokens - 1) / kPageTokens; }

uint64_t layer_bytes(const LayerConfig& layer, int64_t pages, DType dtype) {
  return static_cast<uint64_t>(pages * layer.kv_heads * kPageTokens * aligned_columns(layer.head_dim) *
                               bytes_of(dtype));
}

}  // namespace

// Before a step a sequence of length n still needs n - window + 1 .. n - 1; its new positions come on top.
// Both ends may cut a page, hence the two extra ones.
int64_t KvCache::page_count(int64_t window, KvLimits limits) {
  const int64_t all = limits.sequences * pages_for(limits.context);
  if (window == 0) return all;
  return std::min(all, limits.sequences * (pages_for(window - 1) + 2) + pages_for(limits.step_tokens));
}

uint64_t KvCache::bytes(const ModelConfig& config, KvLimits limits, DType dtype) {
  uint64_t sum = 0;
  for (size_t i = 0; i < config.layers.size(); ++i) {
    if (!config.owns_kv(static_cast<int64_t>(i))) continue;
    const bool full = config.layers[i].type == LayerType::full;
    sum += 2 * layer_bytes(config.layers[i], page_count(full ? 0 : config.sliding_window, limits), dtype);
  }
  return sum;
}

KvCache::KvCache(const ModelConfig& config, Ops& ops, KvLimits limits)
    : config_(config),
      limits_(limits),
      dtype_(ops.cache_dtype()),
      pages_per_sequence_(pages_for(limits.context)),
      keys_(config.layers.size()),
      values_(config.layers.size()) {
  for (const LayerType type : {LayerType::sliding, LayerType::full}) {
    Group& group = group_of(type);
    group.window = type == LayerType::full ? 0 : config.sliding_window;
    group.pages = page_count(group.window, limits);
    for (int64_t page = group.pages; page-- > 0;) group.free.push_back(static_cast<int32_t>(page));
    group.table.assign(static_cast<size_t>(limits.sequences * pages_per_sequence_), -1);
    group.first.assign(static_cast<size_t>(limits.sequences), 0);
    group.last.assign(static_cast<size_t>(limits.sequences), 0);
  }
  for (size_t i = 0; i < config.layers.size(); ++i) {
    if (!config.owns_kv(static_cast<int64_t>(i))) continue;
    const uint64_t size = layer_bytes(config.layers[i], group_of(config.layers[i].type).pages, dtype_);
    keys_[i] = ops.allocate(size);
    values_[i] = ops.allocate(size);
  }
  for (int64_t s = limits.sequences; s-- > 0;) free_sequences_.push_back(static_cast<int32_t>(s));
}

uint64_t KvCache::bytes() const {
  uint64_t sum = 0;
  for (const Buffer& buffer : keys_) sum += buffer.bytes();
  for (const Buffer& buffer : values_) sum += buffer.bytes();
  return sum;
}

int64_t KvCache::free_pages(LayerType type) const { return static_cast<int64_t>(group_of(type).free.size()); }

int32_t KvCache::open_sequence() {
  if (free_sequences_.empty()) throw Error(Code::internal, "all ", limits_.sequences, " sequences are in use");
  const int32_t sequence = free_sequences_.back();
  free_sequences_.pop_back();
  return sequence;
}

void KvCache::close_sequence(int32_t sequence) {
  for (Group& group : groups_) {
    release(group, sequence, group.last[static_cast<size_t>(sequence)]);
    group.first[static_cast<size_t>(sequence)] = group.last[static_cast<size_t>(sequence)] = 0;
  }
  free_sequences_.push_back(sequence);
}

void KvCache::release(Group& group, int32_t sequence, int64_t until_page) {
  int64_t& first = group.first[static_cast<size_t>(sequence)];
  for (; first < until_page; ++first) {
    int32_t& page = group.table[static_cast<size_t>(sequence * pages_per_sequence_ + first)];
    group.free.push_back(page);
    page = -1;
  }
}

void KvCache::prepare(int32_t sequence, int64_t first, int64_t end) {
  if (first < 0 || end > limits_.context)
    throw Error(Code::internal, "positions ", first, " to ", end, " of a cache for ", limits_.context);
  for (Group& group : groups_) {
    int64_t& last = group.last[static_cast<size_t>(sequence)];
    const int64_t oldest = group.window == 0 ? 0 : std::max<int64_t>(0, first - group.window + 1);
    release(group, sequence, std::min(oldest / kPageTokens, last));
    for (; last < pages_for(end); ++last) {
      if (group.free.empty()) throw Error(Code::internal, "the cache has no page left for sequence ", sequence);
      group.table[static_cast<size_t>(sequence * pages_per_sequence_ + last)] = group.free.back();
      group.free.pop_back();
    }
  }
}

KvView KvCache::view(int64_t layer) const {
  const LayerConfig& shape = config_.layers[static_cast<size_t>(layer)];
  return KvView{.keys = keys_[static_cast<size_t>(layer)].data(),
                .values = values_[static_cast<size_t>(layer)].data(),
                .dtype = dtype_,
                .kv_heads = shape.kv_heads,
                .head_dim = shape.head_dim,
                .page_tokens = kPageTokens,
                .table = group_of(shape.type).table.data(),
                .pages_per_sequence = pages_per_sequence_};
}

}  // namespace gf
