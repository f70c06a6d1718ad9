// Notices that a model repeats itself: the known weakness of long constrained answers.
#pragma once

#include <cstdint>
#include <vector>

namespace gf {

class RepetitionDetector {
 public:
  // A loop is: the last `least_tokens` ids or more are one block of at most `longest_block` ids, written at
  // least `least_repeats` times in a row. Needed space and time per id grow with longest_block only.
  struct Limits {
    int32_t longest_block = 128;
    int32_t least_repeats = 4;
    int32_t least_tokens = 48;
  };
  RepetitionDetector();
  explicit RepetitionDetector(Limits limits);  // throws Code::internal for limits below 1 (repeats below 2)

  // True when the ids so far end in a loop.
  bool add(int32_t id);
  // The length of the shortest block that is repeated now; 0 if none.
  [[nodiscard]] int32_t block() const { return block_; }
  void reset();

 private:
  Limits limits_;
  std::vector<int32_t> recent_;   // ring of the last longest_block ids
  std::vector<int64_t> matches_;  // [p]: how many last ids equal the one p + 1 before them
  int64_t count_ = 0;
  int32_t block_ = 0;
};

}  // namespace gf
