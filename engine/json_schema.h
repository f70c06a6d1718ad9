// A JSON schema as a tree of forms, with what each costs at least to write. Internal to the grammar.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

class GrammarVocabulary;

// Texts that may stand at one place, as a tree over their bytes. A node where a text ends may go on to a longer
// one; then the next byte decides.
class LiteralTree {
 public:
  static constexpr int32_t kOpen = -1;  // no text ends here
  static constexpr int32_t kEnd = -2;   // a text ends here, and with it the value

  LiteralTree() : nodes_(1) {}
  // target: what follows the text; the number of a member, or kEnd.
  void add(std::string_view text, int32_t target);
  [[nodiscard]] int32_t child(int32_t node, uint8_t byte) const;  // -1 if there is none
  [[nodiscard]] int32_t target(int32_t node) const { return at(node).target; }
  [[nodiscard]] bool is_leaf(int32_t node) const { return at(node).first_child < 0; }
  // Fewest tokens from here to the end of the value, by compute_costs.
  [[nodiscard]] int64_t cost(int32_t node) const { return at(node).cost; }
  // tail[t]: fewest tokens after a text with target t.
  void compute_costs(const GrammarVocabulary& vocabulary, const std::vector<int64_t>& tail);

 private:
  struct Node {
    uint8_t byte = 0;
    int32_t target = kOpen;
    int32_t first_child = -1, next_sibling = -1;
    int64_t cost = 0;
  };
  [[nodiscard]] const Node& at(int32_t node) const { return nodes_[static_cast<size_t>(node)]; }
  std::vector<Node> nodes_;
};

struct SchemaForm {
  enum class Kind { literal, string, integer, number, object, array };

  Kind kind = Kind::literal;
  int64_t least = 0;  // fewest tokens of a whole value

  LiteralTree literals;                    // literal
  int64_t min_length = 0, max_length = 0;  // string, in code points
  int64_t minimum = 0, maximum = 0;        // integer
  std::vector<std::unique_ptr<SchemaForm>> members;
  std::vector<LiteralTree> before;   // object: [i] what may come before member i, or the end
  std::unique_ptr<SchemaForm> item;  // array
  int64_t min_items = 0, max_items = 0;
};

// Limits of a schema; each is an error of its own.
inline constexpr int32_t kMaxSchemaDepth = 16;
inline constexpr size_t kMaxSchemaMembers = 64;
inline constexpr size_t kMaxSchemaChoices = 4096;
inline constexpr size_t kMaxSchemaTextBytes = 4096;  // of one choice, or of a member's name
inline constexpr int64_t kMaxSchemaLength = int64_t{1} << 20;
inline constexpr int64_t kMaxSchemaItems = int64_t{1} << 16;
inline constexpr int64_t kMaxSchemaInteger = 1'000'000'000'000'000'000;
inline constexpr int64_t kMaxSchemaLeast = int64_t{1} << 20;  // tokens of the shortest text

// Throws Code::input naming the path of what is not understood.
std::unique_ptr<SchemaForm> read_schema(const nlohmann::json& schema, const GrammarVocabulary& vocabulary);

}  // namespace gf
