// The engine against the published code's numbers, and the comparison itself against changed numbers.
#include <fcntl.h>

#include <cstring>

#include "engine/safetensors.h"
#include "kernels/base/fd.h"
#include "kernels/bf16.h"
#include "tests/support/catch.h"
#include "tests/tools/golden_model.h"

namespace gf {
namespace {

const std::vector<std::string> kCases = {"dense", "dense-deep", "dense-wide", "untied", "e2b", "e4b", "moe"};

// A file of a folder alone, under the name that a checkpoint's only file has.
class OneFile : public CheckpointFiles {
 public:
  OneFile(const std::filesystem::path& folder, std::string name)
      : files_(checkpoint_folder(folder)), name_(std::move(name)) {}
  [[nodiscard]] std::vector<std::string> names() const override { return {"model.safetensors"}; }
  [[nodiscard]] std::unique_ptr<ByteSource> open(std::string_view) const override { return files_->open(name_); }

 private:
  std::unique_ptr<CheckpointFiles> files_;
  std::string name_;
};

// Copies the dense case and makes one number of a tensor 10 % larger.
std::filesystem::path changed_copy(const test::TemporaryFolder& folder, const std::string& file,
                                   const std::string& tensor, uint64_t number) {
  const std::filesystem::path copy = folder / "case";
  std::filesystem::copy(test::data_path("goldens/dense"), copy);
  const OneFile files(copy, file);
  const auto source = files.open("");
  const SafetensorsEntry entry = read_safetensors_header(*source, file).at(tensor);
  const auto width = static_cast<uint64_t>(bytes_of(entry.info.dtype));
  const uint64_t at = entry.offset + number * width;
  std::vector<std::byte> bytes(width);
  source->read(at, bytes);
  if (entry.info.dtype == DType::bf16) {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes.data(), 2);
    bits = bf16_of_float(float_of_bf16(bits) * 1.1F);
    std::memcpy(bytes.data(), &bits, 2);
  } else {
    float value = 0;
    std::memcpy(&value, bytes.data(), 4);
    value *= 1.1F;
    std::memcpy(bytes.data(), &value, 4);
  }
  std::filesystem::permissions(copy / file, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  pwrite_all(open_file(copy / file, O_WRONLY), bytes, at, file);
  return copy;
}

}  // namespace

TEST_CASE("stored_and_generated_weights_have_the_published_hashes", "[engine]") {
  for (const std::string& name : kCases) {
    CAPTURE(name);
    CHECK_NOTHROW(test::check_weight_hashes(test::data_path("goldens/" + name)));
  }
}

TEST_CASE("reference_ops_equal_the_published_code_at_every_position", "[engine]") {
  for (const std::string& name : kCases) {
    CAPTURE(name);
    CHECK_NOTHROW(test::check_model_golden(test::data_path("goldens/" + name), "reference"));
  }
}

TEST_CASE("cpu_ops_are_nearer_than_the_published_bf16_run", "[engine]") {
  for (const std::string& name : kCases) {
    CAPTURE(name);
    CHECK_NOTHROW(test::check_model_golden(test::data_path("goldens/" + name), "cpu"));
  }
}

TEST_CASE("a_logit_changed_by_a_tenth_is_reported_with_its_position", "[engine]") {
  const test::TemporaryFolder folder;
  const auto copy = changed_copy(folder, "golden.safetensors", "logits_f32", 17 * 384 + 5);
  const Error error = test::error_of([&] { test::check_model_golden(copy, "reference"); });
  CHECK(error.message().find("logits, position 17") != std::string::npos);
}

TEST_CASE("a_layer_scalar_changed_by_a_tenth_is_reported_with_its_layer", "[engine]") {
  const test::TemporaryFolder folder;
  const auto copy = changed_copy(folder, "model.safetensors", "model.language_model.layers.3.layer_scalar", 0);
  const Error error = test::error_of([&] { test::check_model_golden(copy, "reference"); });
  CHECK(error.message().find("after layer 3") != std::string::npos);
  const Error hash = test::error_of([&] { test::check_weight_hashes(copy); });
  CHECK(hash.message().find("layers.3.layer_scalar: expected SHA-256") != std::string::npos);
  CHECK_THROWS_AS(test::check_model_golden(copy, "cpu"), Error);
}

}  // namespace gf
