// Hostile and broken checkpoint files.
#include "engine/safetensors.h"

#include <cstring>
#include <functional>

#include "kernels/base/atomic_file.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

class Memory : public ByteSource {
 public:
  explicit Memory(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }
  void read(uint64_t offset, std::span<std::byte> out) const override {
    if (offset + out.size() > bytes_.size()) throw Error(Code::internal, "a read beyond the file");
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

 private:
  std::string bytes_;
};

std::string file_of(const std::string& header, size_t data_bytes) {
  std::string size(8, '\0');
  for (size_t i = 0; i < 8; ++i) size[i] = static_cast<char>(header.size() >> (8 * i) & 0xFFU);
  return size + header + std::string(data_bytes, 'x');
}

Error refusal(const std::string& bytes) {
  return test::error_of([&] { read_safetensors_header(Memory(bytes), "a.safetensors"); });
}

const std::string kGood = R"({"t":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}})";

}  // namespace

TEST_CASE("a_header_gives_shapes_and_places", "[engine]") {
  const auto entries = read_safetensors_header(Memory(file_of(kGood, 12)), "a.safetensors");
  REQUIRE(entries.size() == 1);
  CHECK(entries.at("t").info.shape == std::vector<int64_t>{2, 3});
  CHECK(entries.at("t").offset == 8 + kGood.size());
}

TEST_CASE("hostile_headers_are_refused_and_name_the_tensor", "[engine]") {
  const std::vector<std::tuple<std::string, std::string, size_t, std::string>> bad = {
      {"no data", kGood, 0, "tensor t: data_offsets [0, 12]"},
      {"data after the last tensor", kGood, 13, "1 bytes after the last tensor"},
      {"sizes that do not follow", R"({"t":{"dtype":"F32","shape":[2,3],"data_offsets":[0,12]}})", 12,
       "tensor t: F32 [2, 3] takes 24"},
      {"unknown type", R"({"t":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}})", 16, "tensor t: dtype"},
      {"end before begin", R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}})", 2, "tensor t: data_offsets"},
      {"overlap",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
       7, "tensor b: overlaps"},
      {"hole", R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}})", 5, "tensor t: 1 bytes before it"},
      {"size 0", R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0, "tensor t: shape: a size is 0"},
      {"negative size", R"({"t":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}})", 0, "tensor t: shape"},
      {"overflowing shape", R"({"t":{"dtype":"U8","shape":[4294967296,4294967296,4294967297],"data_offsets":[0,0]}})",
       0, "tensor t: shape"},
      {"unknown key", R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1,
       "tensor t: expected exactly"},
      {"same name twice",
       R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       1, "duplicate"},
      {"not an object", "[]", 0, "expected an object"},
      {"no JSON", "{", 0, "a.safetensors: header"},
  };
  for (const auto& [what, header, data_bytes, message] : bad) {
    CAPTURE(what);
    const Error error = refusal(file_of(header, data_bytes));
    CHECK(error.code() == Code::corrupt);
    CHECK(error.message().find(message) != std::string::npos);
  }
}

TEST_CASE("a_header_beyond_the_file_is_refused", "[engine]") {
  std::string bytes = file_of(kGood, 12);
  bytes[7] = '\x7f';
  CHECK(refusal(bytes).message().find("does not fit the file") != std::string::npos);
  CHECK(refusal("short").code() == Code::corrupt);
}

TEST_CASE("shards_must_be_what_the_index_says", "[engine]") {
  const test::TemporaryFolder folder;
  const std::string two = R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  const auto index = [&](const std::string& map) {
    write_atomically(folder / "model.safetensors.index.json", "{\"weight_map\":" + map + "}");
  };
  write_atomically(folder / "1.safetensors", file_of(kGood, 12));
  write_atomically(folder / "2.safetensors", file_of(two, 1));

  index(R"({"t":"1.safetensors","u":"2.safetensors"})");
  const auto source = open_checkpoint(folder.path());
  CHECK(source->names() == std::vector<std::string>{"t", "u"});
  std::array<std::byte, 6> row{};
  source->read("t", {1, 1}, row);
  CHECK(row[0] == std::byte{'x'});
  CHECK(source->text("config.json") == std::nullopt);

  const std::vector<std::pair<std::string, std::string>> bad = {
      {R"({"t":"1.safetensors","u":"3.safetensors"})", "tensor u: file \"3.safetensors\" is missing"},
      {R"({"t":"1.safetensors","u":"1.safetensors"})", "tensor u is not in 1.safetensors"},
      {R"({"t":"2.safetensors"})", "tensor u: the index does not put it"},
      {R"({"t":"1.safetensors","u":"../2.safetensors"})", "is missing"},
      {R"([])", "weight_map"},
  };
  for (const auto& [map, message] : bad) {
    CAPTURE(map);
    index(map);
    const Error error = test::error_of([&] { open_checkpoint(folder.path()); });
    CHECK(error.code() == Code::corrupt);
    CHECK(error.message().find(message) != std::string::npos);
  }
}

TEST_CASE("a_folder_without_weights_is_refused", "[engine]") {
  const test::TemporaryFolder folder;
  CHECK(test::error_of([&] { open_checkpoint(folder.path()); }).message().find("neither") != std::string::npos);
}

}  // namespace gf
