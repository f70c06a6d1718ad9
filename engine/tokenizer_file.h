// Reads `tokenizer.json` into plain lists. What the lists mean is in tokenizer.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

// Many short texts in one piece of memory.
class TextList {
 public:
  void add(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(bytes_.size());
  }
  [[nodiscard]] size_t size() const { return ends_.size(); }
  [[nodiscard]] std::string_view operator[](size_t index) const {
    const size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(bytes_).substr(begin, ends_[index] - begin);
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

struct AddedToken {
  std::string content;
  int32_t id;
  bool special;
};

struct TokenizerFile {
  TextList vocab;                  // text of each entry of model.vocab ...
  std::vector<int32_t> vocab_ids;  // ... and its id
  TextList merges;                 // left, right, left, right ...; a pair's rank is its index
  std::vector<AddedToken> added;
};

// 262,144 tokens and 515,000 merges are 32 MB; these limits leave room and stop nonsense.
inline constexpr size_t kMaxTokenizerBytes = size_t{256} << 20;
inline constexpr int32_t kMaxTokens = 1 << 22;
inline constexpr size_t kMaxMerges = size_t{1} << 23;
inline constexpr size_t kMaxTokenTextBytes = 4096;
inline constexpr size_t kMaxAddedTokenBytes = 256;

// Throws Code::input naming `what` and the key.
TokenizerFile read_tokenizer_file(std::string_view json, std::string_view what);

}  // namespace gf
