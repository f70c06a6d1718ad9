// The store: what unpack leaves, also when it is stopped half way.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "bundles/limits.h"
#include "bundles/store.h"
#include "kernels/base/atomic_file.h"
#include "tests/bundles/forge.h"

namespace gf::test {
namespace {

namespace fs = std::filesystem;

Recipe recipe_with_weights() {
  Recipe recipe;
  recipe.files.push_back({"model/w.safetensors", std::string(kChunkBytes + 5000, 'w'), Kind::weights});
  return recipe;
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::exists(folder)) return found;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != "lock") found.push_back(entry.path());
  return found;
}

// Every file of the bundle can be read from the store, and is what was packed.
void check_complete(const Store& store, const Bundle& bundle, const Recipe& recipe) {
  const std::map<std::string, Digest> names = store.names_of(bundle.digest());
  REQUIRE(names.size() == recipe.files.size());
  for (const PlainFile& file : recipe.files) {
    const std::vector<std::byte> bytes = read_file(store.file(names.at(file.name), file.kind), 1U << 30, file.name);
    CHECK(as_text(bytes) == file.bytes);
  }
}

}  // namespace

TEST_CASE("an_unpacked_bundle_can_be_read_from_the_store", "[bundles]") {
  Scene scene;
  scene.recipe = recipe_with_weights();
  const Bundle bundle = scene.open();
  const Store store = Store::create_or_open(scene.folder / "store");
  const UnpackResult result = store.unpack(bundle);
  CHECK(result.bytes_shared + result.bytes_copied == kChunkBytes + 5000 + 5000 + scene.recipe.files[0].bytes.size());
  check_complete(store, bundle, scene.recipe);
  CHECK(fs::is_empty(scene.folder / "store/incoming"));
  for (const auto& entry : fs::directory_iterator(scene.folder / "store/files")) {
    if (entry.path().extension() != ".json")
      CHECK((fs::status(entry).permissions() & fs::perms::all) == fs::perms(0444));
  }
  const UnpackResult again = store.unpack(bundle);
  CHECK(again.bytes_copied == 0);
  CHECK(again.bytes_present == result.bytes_shared + result.bytes_copied);
}

TEST_CASE("a_bundle_with_a_changed_bit_leaves_nothing_in_the_store", "[bundles]") {
  Scene scene;
  scene.recipe = recipe_with_weights();
  scene.recipe.file = [](std::string& file) {
    file[file.size() - 8192] = static_cast<char>(file[file.size() - 8192] ^ 1);
  };
  const Store store = Store::create_or_open(scene.folder / "store");
  CHECK(error_of([&] { (void)store.unpack(scene.open()); }).code() == Code::corrupt);
  CHECK(files_below(scene.folder / "store").empty());
}

TEST_CASE("a_manifest_that_names_an_approved_digest_cannot_poison_the_store", "[bundles]") {
  Scene scene;
  scene.recipe.manifest = [](Manifest& manifest) { manifest.files[0].sha384 = sha384("approved"); };
  const Store store = Store::create_or_open(scene.folder / "store");
  CHECK(error_of([&] { (void)store.unpack(scene.open()); }).code() == Code::corrupt);
  CHECK(files_below(scene.folder / "store").empty());
}

TEST_CASE("a_tar_with_a_link_leaves_nothing_in_the_store", "[bundles]") {
  Scene scene;
  scene.recipe.payload = [](const Manifest& manifest, std::string& payload) {
    payload[manifest.files[1].offset - 512 + 156] = '2';
  };
  const Store store = Store::create_or_open(scene.folder / "store");
  CHECK(error_of([&] { (void)store.unpack(scene.open()); }).code() == Code::corrupt);
  CHECK(files_below(scene.folder / "store").empty());
}

TEST_CASE("a_killed_unpack_leaves_nothing_that_counts_and_the_next_one_completes", "[bundles]") {
  Scene scene;
  scene.recipe = recipe_with_weights();
  const Bundle bundle = scene.open();
  const fs::path folder = scene.folder / "store";
  const int steps = 10;  // more than the progress calls of one unpack, so that the last run is not killed
  int killed = 0;
  for (int step = 1; step <= steps; ++step) {
    fs::remove_all(folder);
    const Store store = Store::create_or_open(folder);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int calls = 0;
      try {
        (void)store.unpack(bundle, [&](uint64_t, uint64_t) {
          if (++calls == step) ::raise(SIGKILL);
        });
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) {
      ++killed;
      CHECK(fs::is_empty(folder / "files"));
      CHECK(error_of([&] { (void)store.names_of(bundle.digest()); }).code() == Code::input);
    } else {
      CHECK(WEXITSTATUS(status) == 0);
    }
    (void)store.unpack(bundle);
    check_complete(store, bundle, scene.recipe);
    CHECK(fs::is_empty(folder / "incoming"));
  }
  CHECK(killed >= 5);
  CHECK(killed < steps);
}

TEST_CASE("what_was_interrupted_between_publishing_steps_is_completed", "[bundles]") {
  Scene scene;
  scene.recipe = recipe_with_weights();
  const Bundle bundle = scene.open();
  const Store store = Store::create_or_open(scene.folder / "store");
  (void)store.unpack(bundle);
  const Digest weights = bundle.find("model/w.safetensors")->identity;
  // As a power cut after the renames leaves it: a file without its record, no index.
  fs::remove(scene.folder / ("store/files/" + weights.hex() + ".json"));
  fs::remove(scene.folder / ("store/bundles/" + bundle.digest().hex() + ".json"));
  CHECK(error_of([&] { (void)store.file(weights, Kind::weights); }).code() == Code::input);
  (void)store.unpack(bundle);
  check_complete(store, bundle, scene.recipe);
}

TEST_CASE("an_entry_is_used_only_as_the_kinds_it_was_accepted_as", "[bundles]") {
  Scene scene;
  const Store store = Store::create_or_open(scene.folder / "store");
  (void)store.unpack(scene.open());
  const Digest prompt = scene.open().find("prompts/fix.txt")->identity;
  CHECK(error_of([&] { (void)store.file(prompt, Kind::policy); }).code() == Code::forbidden);
  scene.recipe.files[1].kind = Kind::policy;
  (void)store.unpack(scene.open());
  CHECK(store.entry(prompt).kinds == std::vector<Kind>{Kind::prompt, Kind::policy});
  CHECK(store.file(prompt, Kind::policy).valid());
  CHECK(store.file(prompt, Kind::prompt).valid());
}

TEST_CASE("an_entry_of_another_size_than_recorded_is_refused", "[bundles]") {
  Scene scene;
  const Store store = Store::create_or_open(scene.folder / "store");
  (void)store.unpack(scene.open());
  const Digest prompt = scene.open().find("prompts/fix.txt")->identity;
  fs::resize_file(scene.folder / ("store/files/" + prompt.hex()), 100);
  CHECK(error_of([&] { (void)store.file(prompt, Kind::prompt); }).code() == Code::corrupt);
}

TEST_CASE("only_what_root_alone_can_write_is_mapped", "[bundles]") {
  if (::geteuid() != 0) GF_SKIP("needs root: a store that root alone can write");
  Scene scene;
  fs::permissions(scene.folder.path(), fs::perms(0755));
  const Store store = Store::create_or_open(scene.folder / "store");
  (void)store.unpack(scene.open());
  const Digest prompt = scene.open().find("prompts/fix.txt")->identity;
  CHECK(store.mappable_file(prompt, Kind::prompt).valid());
  const fs::path file = scene.folder / ("store/files/" + prompt.hex());
  fs::permissions(file, fs::perms(0666));
  CHECK(error_of([&] { (void)store.mappable_file(prompt, Kind::prompt); }).code() == Code::forbidden);
  fs::permissions(file, fs::perms(0444));
  for (const fs::path& folder : {scene.folder / "store/files", scene.folder / "store", scene.folder.path()}) {
    fs::permissions(folder, fs::perms(0775));
    CHECK(error_of([&] { (void)store.mappable_file(prompt, Kind::prompt); }).code() == Code::forbidden);
    fs::permissions(folder, fs::perms(0755));
  }
  REQUIRE(::chown(file.c_str(), 1000, 0) == 0);
  CHECK(error_of([&] { (void)store.mappable_file(prompt, Kind::prompt); }).code() == Code::forbidden);
}

TEST_CASE("a_link_in_the_store_is_not_followed", "[bundles]") {
  Scene scene;
  const Store store = Store::create_or_open(scene.folder / "store");
  (void)store.unpack(scene.open());
  const Digest prompt = scene.open().find("prompts/fix.txt")->identity;
  const fs::path file = scene.folder / ("store/files/" + prompt.hex());
  fs::rename(file, scene.folder / "elsewhere");
  fs::create_symlink(scene.folder / "elsewhere", file);
  CHECK(error_of([&] { (void)store.file(prompt, Kind::prompt); }).code() == Code::io);
}

}  // namespace gf::test
