// Opening below a root, exact reads, sealed memory.
#include "kernels/base/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/catch.h"

namespace gf {

TEST_CASE("an_absolute_link_stays_inside_the_root", "[base]") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "root/real");
  std::ofstream(folder / "root/real/file") << "inside";
  std::filesystem::create_directory_symlink("/real", folder / "root/etc");
  const Fd root = open_directory(folder / "root");
  CHECK(as_text(read_file(open_in_root(root, "/etc/file", O_RDONLY), 100, "f")) == "inside");
  CHECK(as_text(read_file(open_in_root(root, "/../../real/file", O_RDONLY), 100, "f")) == "inside");
}

TEST_CASE("without_links_refuses_any_link_in_the_path", "[base]") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "real");
  std::ofstream(folder / "real/file") << "x";
  std::filesystem::create_directory_symlink("real", folder / "link");
  const Fd root = open_directory(folder.path());
  CHECK(open_in_root_without_links(root, "real/file", O_RDONLY).valid());
  CHECK(test::error_of([&] { open_in_root_without_links(root, "link/file", O_RDONLY); }).code() == Code::io);
}

TEST_CASE("sealed_memory_cannot_be_changed", "[base]") {
  const Fd memory = sealed_memory("m", as_bytes("abc"));
  CHECK(::pwrite(memory.get(), "x", 1, 0) == -1);
  CHECK(::ftruncate(memory.get(), 1) == -1);
  CHECK(as_text(read_file(memory, 10, "m")) == "abc");
}

TEST_CASE("a_file_over_the_limit_or_a_folder_is_refused", "[base]") {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "f") << "12345";
  CHECK(read_text_file(folder / "f", 5) == "12345");
  CHECK(test::error_of([&] { read_text_file(folder / "f", 4); }).code() == Code::input);
  CHECK(test::error_of([&] { read_file(folder.path(), 10); }).code() == Code::input);
}

TEST_CASE("an_early_end_is_corrupt", "[base]") {
  const Fd memory = sealed_memory("m", as_bytes("abc"));
  std::byte room[4];
  CHECK(test::error_of([&] { pread_exactly(memory, room, 0, "m"); }).code() == Code::corrupt);
}

}  // namespace gf
