#include "engine/tokenizer_bpe.h"

#include <algorithm>

namespace gf {
namespace {

constexpr uint64_t kFree = ~uint64_t{0};
constexpr int32_t kNone = -1;

uint64_t key_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

struct Symbol {
  int32_t id, previous, next;
};

// A pair that could be joined when it was pushed. It still can if both symbols are what they were.
struct Candidate {
  uint64_t order;  // rank, then position: the heap's smallest is the next to join
  int32_t left, right;
};

struct Later {
  bool operator()(const Candidate& a, const Candidate& b) const { return a.order > b.order; }
};

}  // namespace

MergeTable::MergeTable(size_t pairs) : shift_(64) {
  size_t slots = 2;
  --shift_;
  while (slots < 2 * pairs + 2) {
    slots *= 2;
    --shift_;
  }
  slots_.assign(slots, Slot{kFree, {}});
}

size_t MergeTable::slot_of(uint64_t key) const {
  size_t slot = static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> shift_);
  while (slots_[slot].key != kFree && slots_[slot].key != key) slot = (slot + 1) & (slots_.size() - 1);
  return slot;
}

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = key_of(left, right);
  slots_[slot_of(key)] = Slot{key, merge};
}

const MergeTable::Merge* MergeTable::find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[slot_of(key_of(left, right))];
  return slot.key == kFree ? nullptr : &slot.merge;
}

void merge_symbols(std::span<const int32_t> ids_in, const MergeTable& table, std::vector<int32_t>& ids) {
  const auto count = static_cast<int32_t>(ids_in.size());
  std::vector<Symbol> symbols(ids_in.size());
  std::vector<Candidate> heap;
  for (int32_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    symbols[at] = {ids_in[at], i - 1, i + 1 < count ? i + 1 : kNone};
    if (i == 0) continue;
    if (const auto* merge = table.find(ids_in[at - 1], ids_in[at]))
      heap.push_back({uint64_t{merge->rank} << 32 | static_cast<uint32_t>(i - 1), ids_in[at - 1], ids_in[at]});
  }
  std::make_heap(heap.begin(), heap.end(), Later());

  const auto push = [&](int32_t position) {
    if (position == kNone) return;
    const Symbol& left = symbols[static_cast<size_t>(position)];
    if (left.next == kNone) return;
    const int32_t right = symbols[static_cast<size_t>(left.next)].id;
    if (const auto* merge = table.find(left.id, right)) {
      heap.push_back({uint64_t{merge->rank} << 32 | static_cast<uint32_t>(position), left.id, right});
      std::push_heap(heap.begin(), heap.end(), Later());
    }
  };

  while (!heap.empty()) {
    const Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end(), Later());
    heap.pop_back();
    const auto position = static_cast<int32_t>(best.order & 0xffffffffu);
    Symbol& left = symbols[static_cast<size_t>(position)];
    if (left.id != best.left || left.next == kNone) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    if (right.id != best.right) continue;
    left.id = table.find(best.left, best.right)->joined;
    right.id = kNone;  // no candidate at this position can match any more
    left.next = right.next;
    if (left.next != kNone) symbols[static_cast<size_t>(left.next)].previous = position;
    push(left.previous);
    push(position);
  }
  for (int32_t i = count > 0 ? 0 : kNone; i != kNone; i = symbols[static_cast<size_t>(i)].next)
    ids.push_back(symbols[static_cast<size_t>(i)].id);
}

}  // namespace gf
