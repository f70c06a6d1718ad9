// The merge loop of byte-pair encoding, and the table of pairs that it asks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gf {

// (left id, right id) -> rank and joined id; open addressing, at most half full.
class MergeTable {
 public:
  struct Merge {
    uint32_t rank;
    int32_t joined;
  };
  explicit MergeTable(size_t pairs);
  // A pair that is there already gets the new rank, as in the library that writes these files.
  void set(int32_t left, int32_t right, Merge merge);
  [[nodiscard]] const Merge* find(int32_t left, int32_t right) const;

 private:
  struct Slot {
    uint64_t key;
    Merge merge;
  };
  [[nodiscard]] size_t slot_of(uint64_t key) const;
  std::vector<Slot> slots_;
  unsigned shift_;
};

// Joins the neighbouring pair of lowest rank, leftmost first, until no pair has a rank, and appends what is
// left to `ids`. O(n log n): a heap of pairs over a linked list of symbols.
void merge_symbols(std::span<const int32_t> symbols, const MergeTable& table, std::vector<int32_t>& ids);

}  // namespace gf
