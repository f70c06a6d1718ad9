// Step 7, and reading: bytes that differ from the table are never given out.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <thread>

#include "bundles/header.h"
#include "bundles/limits.h"
#include "tests/bundles/forge.h"

namespace gf::test {
namespace {

std::string random_bytes(size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

uint64_t number_at(const std::string& bytes, size_t at) {
  uint64_t value = 0;
  for (size_t i = 8; i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

uint64_t payload_offset(const std::string& bundle) { return number_at(bundle, 56); }

void flip(std::string& bytes, size_t at, int bit) { bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit)); }

// A bundle with a file of three chunks, the last one short.
Recipe large_recipe() {
  Recipe recipe;
  recipe.files.push_back({"model/w.safetensors", random_bytes(2 * kChunkBytes + 12345, 7), Kind::weights});
  return recipe;
}

std::string text_of(const Fd& fd) {
  const std::vector<std::byte> bytes = read_file(fd, 1U << 30, "content");
  return std::string(as_text(bytes));
}

}  // namespace

namespace {

// Opens the scene's bundle once for each place and bit, with that bit changed; counts what was
// accepted, or refused for another reason than its bytes.
class BitFlipper {
 public:
  explicit BitFlipper(Scene& scene)
      : scene_(scene), path_(scene.write()), good_(read_text_file(path_, 1U << 24)), file_(open_file(path_, O_RDWR)) {
    Bundle::open(path_, scene.trust, scene.now).verify_payload();
  }
  // `bits` of each byte, the lowest chosen by its place.
  void flip_region(uint64_t from, uint64_t to, int bits, uint64_t step = 1) {
    for (uint64_t at = from; at < to; at += step)
      for (int bit = 0; bit < bits; ++bit) flip_one(at, static_cast<int>((at + static_cast<uint64_t>(bit)) % 8));
  }
  void flip_front(int bits) {
    flip_region(0, 400, bits);  // header; behind it zeros up to the first block
    for (const size_t region : {24U, 40U, 72U})
      flip_region(number_at(good_, region), number_at(good_, region) + number_at(good_, region + 8), bits);
    flip_region(400, payload_offset(good_), 1, 61);
  }
  void flip_signature(size_t index, uint64_t step) {
    const size_t at = 72 + 16 * index;
    flip_region(number_at(good_, at), number_at(good_, at) + number_at(good_, at + 8), 1, step);
  }
  [[nodiscard]] size_t accepted() const { return accepted_; }
  [[nodiscard]] size_t tried() const { return tried_; }

 private:
  void flip_one(uint64_t at, int bit) {
    std::string changed = good_.substr(at, 1);
    flip(changed, 0, bit);
    pwrite_all(file_, as_bytes(changed), at, "bundle");
    ++tried_;
    try {
      Bundle::open(path_, scene_.trust, scene_.now);
      ++accepted_;
    } catch (const Error& error) {
      if (error.code() != Code::corrupt && error.code() != Code::not_trusted) ++accepted_;
    }
    pwrite_all(file_, as_bytes(good_.substr(at, 1)), at, "bundle");
  }
  Scene& scene_;
  std::filesystem::path path_;
  std::string good_;
  Fd file_;
  size_t accepted_ = 0;
  size_t tried_ = 0;
};

}  // namespace

TEST_CASE("every_changed_bit_in_front_of_the_payload_is_refused", "[bundles]") {
  // Signed right below the anchor, because each certificate costs a P-384 verification per bit.
  const Holder signer = new_holder(signer_order(), new_ec_key(), &pki().root);
  Scene scene;
  scene.recipe.files = {{"a", "hello", Kind::job}};
  scene.recipe.signatures = {by(signer, {})};
  BitFlipper flipper(scene);
  flipper.flip_front(8);
  CHECK(flipper.tried() > 14000);
  CHECK(flipper.accepted() == 0);
}

TEST_CASE("changed_bits_in_two_signatures_with_intermediates_are_refused", "[bundles]") {
  const Holder rsa = new_holder(signer_order(), new_rsa_key(3072), &pki().intermediate);
  Scene scene;
  scene.recipe.files = {{"a", "hello", Kind::job}};
  scene.recipe.signatures = {by(pki().signer1), by(rsa)};
  BitFlipper flipper(scene);
  flipper.flip_signature(0, 3);
  flipper.flip_signature(1, 3);
  CHECK(flipper.tried() > 1000);
  CHECK(flipper.accepted() == 0);
}

TEST_CASE("one_changed_bit_in_the_payload_is_refused", "[bundles]") {
  Scene scene;
  const std::string good = forge(scene.recipe);
  const std::filesystem::path path = scene.write();
  const Fd file = open_file(path, O_RDWR);
  const Bundle bundle = Bundle::open(path, scene.trust, scene.now);
  size_t accepted = 0;
  size_t tried = 0;
  for (size_t at = payload_offset(good); at < good.size(); at += 37, ++tried) {
    std::string changed = good.substr(at, 1);
    flip(changed, 0, static_cast<int>(at % 8));
    pwrite_all(file, as_bytes(changed), at, "bundle");
    try {
      bundle.verify_payload();  // reads the file again
      ++accepted;
    } catch (const Error& error) {
      if (error.code() != Code::corrupt) ++accepted;
    }
    pwrite_all(file, as_bytes(good.substr(at, 1)), at, "bundle");
  }
  CHECK(tried > 500);
  CHECK(accepted == 0);
}

TEST_CASE("a_changed_bit_is_named_by_its_file", "[bundles]") {
  Scene scene;
  scene.recipe = large_recipe();
  scene.recipe.file = [](std::string& file) { flip(file, file.size() - 2 * 4096, 0); };
  check_refused(scene, Code::corrupt, "file model/w.safetensors");
}

TEST_CASE("two_swapped_chunks_are_refused", "[bundles]") {
  Scene scene;
  scene.recipe = large_recipe();
  scene.recipe.file = [](std::string& file) {
    const size_t first = file.size() - 4096 - rounded_up(2 * kChunkBytes + 12345);
    const std::string kept = file.substr(first, kChunkBytes);
    file.replace(first, kChunkBytes, file.substr(first + kChunkBytes, kChunkBytes));
    file.replace(first + kChunkBytes, kChunkBytes, kept);
  };
  check_refused(scene, Code::corrupt, "step 7 (chunks)");
}

TEST_CASE("two_swapped_table_entries_are_refused", "[bundles]") {
  Scene scene;
  scene.recipe.table = [](std::vector<Digest>& table) { std::swap(table[0], table[1]); };
  check_refused(scene, Code::corrupt, "step 7 (chunks)");
}

TEST_CASE("another_bundles_chunk_table_is_refused", "[bundles]") {
  Scene scene;
  scene.recipe.manifest = [](Manifest& manifest) { manifest.table_sha384 = sha384("another"); };
  check_refused(scene, Code::corrupt, "mix-and-match");
}

TEST_CASE("a_plain_digest_that_lies_is_refused", "[bundles]") {
  Scene scene;
  scene.recipe.manifest = [](Manifest& manifest) { manifest.files[1].sha384 = sha384("approved bytes"); };
  const Bundle bundle = scene.open();
  bundle.verify_payload();  // the chunks are right, and identities come from them alone
  const Error error = error_of([&] { bundle.verify_payload({}, PlainDigests::check); });
  CHECK(error.code() == Code::corrupt);
  CHECK_THAT(error.message(), Catch::Matchers::Contains("the manifest states SHA-384"));
}

TEST_CASE("an_identity_depends_on_the_bytes_alone", "[bundles]") {
  Scene scene;
  scene.recipe = large_recipe();
  const FileEntry lying =
      *[&] {
        scene.recipe.manifest = [](Manifest& manifest) { manifest.files[3].sha384 = sha384("approved bytes"); };
        return scene.open();
      }()
           .find("model/w.safetensors");
  scene.recipe.manifest = {};
  scene.recipe.files[0].bytes = "another first file";
  scene.recipe.files[3].name = "another/name.bin";
  CHECK(scene.open().find("another/name.bin")->identity == lying.identity);
}

TEST_CASE("reads_of_any_place_give_the_files_bytes", "[bundles]") {
  Scene scene;
  scene.recipe = large_recipe();
  const Bundle bundle = scene.open();
  const std::string& expected = scene.recipe.files[3].bytes;
  const uint64_t sizes[] = {0, 1, 31, 33, 257, 4096, kChunkBytes - 1, kChunkBytes, kChunkBytes + 1, expected.size()};
  for (const uint64_t size : sizes)
    for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, kChunkBytes - 1, kChunkBytes, expected.size() - size}) {
      if (offset + size > expected.size()) continue;
      std::vector<std::byte> out(size);
      bundle.read("model/w.safetensors", offset, out);
      CHECK(as_text(out) == std::string_view(expected).substr(offset, size));
    }
  std::vector<std::byte> out(2);
  CHECK(error_of([&] { bundle.read("model/w.safetensors", expected.size() - 1, out); }).code() == Code::input);
  CHECK(error_of([&] { bundle.read("model/w.safetensors", UINT64_MAX, out); }).code() == Code::input);
  CHECK(error_of([&] { bundle.read("absent", 0, out); }).code() == Code::input);
}

TEST_CASE("reads_from_many_threads_agree", "[bundles]") {
  Scene scene;
  scene.recipe = large_recipe();
  const Bundle bundle = scene.open();
  const std::string& expected = scene.recipe.files[3].bytes;
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned seed = 0; seed < 4; ++seed)
      threads.emplace_back([&, seed] {
        std::mt19937_64 random(seed);
        for (int i = 0; i < 40; ++i) {
          std::vector<std::byte> out(random() % 3000 + 1);
          const uint64_t offset = random() % (expected.size() - out.size());
          bundle.read("model/w.safetensors", offset, out);
          if (as_text(out) != std::string_view(expected).substr(offset, out.size())) ++wrong;
        }
      });
  }
  CHECK(wrong == 0);
}

TEST_CASE("a_file_changed_after_it_was_verified_is_refused_at_use", "[bundles]") {
  Scene scene;
  scene.recipe = large_recipe();
  const Bundle bundle = scene.open();
  bundle.verify_payload();
  const FileEntry& job = *bundle.find("job/job.json");
  const FileEntry& weights = *bundle.find("model/w.safetensors");
  const uint64_t start = payload_offset(forge(scene.recipe));
  const Fd file = open_file(scene.folder / "x.gfb", O_RDWR);
  pwrite_all(file, as_bytes("X"), start + job.offset, "bundle");
  pwrite_all(file, as_bytes("XXXX"), start + weights.offset + kChunkBytes + 9, "bundle");

  CHECK(error_of([&] { (void)bundle.content("job/job.json"); }).code() == Code::corrupt);
  std::vector<std::byte> out(kChunkBytes + 100, std::byte{0xAA});
  bundle.read(weights, 0, std::span(out).first(100));  // its own chunk is as it was
  const Error error = error_of([&] { bundle.read(weights, 0, out); });
  CHECK(error.code() == Code::corrupt);
  CHECK(std::all_of(out.begin(), out.end(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("content_taken_before_a_change_stays_as_it_was_verified", "[bundles]") {
  Scene scene;
  const Bundle bundle = scene.open();
  const Fd job = bundle.content("job/job.json");
  const uint64_t start = payload_offset(forge(scene.recipe));
  pwrite_all(open_file(scene.folder / "x.gfb", O_RDWR), as_bytes("XXXX"), start + bundle.find("job/job.json")->offset,
             "x");
  CHECK(text_of(job) == scene.recipe.files[0].bytes);
  CHECK(::write(job.get(), "x", 1) == -1);
  CHECK((::fcntl(job.get(), F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)) ==
        (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
}

TEST_CASE("a_file_cut_short_after_opening_is_refused", "[bundles]") {
  Scene scene;
  const Bundle bundle = scene.open();
  std::filesystem::resize_file(scene.folder / "x.gfb", payload_offset(forge(scene.recipe)) + 4096);
  CHECK(error_of([&] { bundle.verify_payload(); }).code() == Code::corrupt);
  CHECK(error_of([&] { (void)bundle.content("prompts/fix.txt"); }).code() == Code::corrupt);
}

TEST_CASE("weights_are_not_given_out_as_one_buffer", "[bundles]") {
  Scene scene;
  scene.recipe = large_recipe();
  CHECK(error_of([&] { (void)scene.open().content("model/w.safetensors"); }).code() == Code::input);
}

TEST_CASE("an_empty_file_has_empty_content", "[bundles]") {
  Scene scene;
  CHECK(text_of(scene.open().content("empty.txt")).empty());
}

TEST_CASE("progress_counts_every_byte_once", "[bundles]") {
  Scene scene;
  scene.recipe = large_recipe();
  const Bundle bundle = scene.open();
  for (const PlainDigests plain : {PlainDigests::skip, PlainDigests::check}) {
    uint64_t last = 0;
    bool rises = true;
    bundle.verify_payload([&](uint64_t done, uint64_t) { rises = rises && done > last, last = done; }, plain);
    CHECK(rises);
    CHECK(last == bundle.manifest().payload_size);
  }
}

}  // namespace gf::test
