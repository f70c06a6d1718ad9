// Holds the engine to the numbers of a golden directory: config.json, golden.json, golden.safetensors and
// the weights (stored, or made from the recipe in golden.json).
//
// reference: relative RMS error of every hidden row and of the logits at most 1e-4 at every position, and
//   every greedy token equal.
// other ops (bf16 storage): per row, the median over positions at most 1.25 x the median of the published
//   code's own bf16 run; at most one position in six above 4 x that median (logits); the same token
//   wherever the float32 gap between the first and the second exceeds 8 x that median.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace gf::test {

// Checks with the named ops ("reference", "cpu"). Throws Error (Code::corrupt) naming the first row that
// differs; the returned lines say what was compared and how near it was.
std::vector<std::string> check_model_golden(const std::filesystem::path& folder, const std::string& ops);
// SHA-256 of every tensor, stored or generated, against golden.json. Throws Code::corrupt naming the tensor.
void check_weight_hashes(const std::filesystem::path& folder);

}  // namespace gf::test
