// Files that appear whole or not at all.
#include "kernels/base/atomic_file.h"

#include "tests/support/catch.h"

namespace gf {

TEST_CASE("a_file_is_replaced_whole_and_no_temporary_is_left", "[base]") {
  const test::TemporaryFolder folder;
  write_atomically(folder / "f", "one");
  write_atomically(folder / "f", "two", 0600);
  CHECK(read_text_file(folder / "f", 10) == "two");
  CHECK((std::filesystem::status(folder / "f").permissions() & std::filesystem::perms::mask) ==
        static_cast<std::filesystem::perms>(0600));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()) == 1);
}

TEST_CASE("an_existing_file_can_be_protected", "[base]") {
  const test::TemporaryFolder folder;
  write_atomically(folder / "f", "one");
  CHECK(test::error_of([&] { write_atomically(folder / "f", "two", 0644, Existing::refuse); }).code() == Code::io);
  CHECK(read_text_file(folder / "f", 10) == "one");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()) == 1);
}

TEST_CASE("folders_are_made_with_their_parents", "[base]") {
  const test::TemporaryFolder folder;
  make_folders(folder / "a/b/c");
  make_folders(folder / "a/b/c");
  CHECK(std::filesystem::is_directory(folder / "a/b/c"));
}

}  // namespace gf
