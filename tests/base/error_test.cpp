// Error and the exit statuses.
#include "tests/support/catch.h"

#include <cerrno>

namespace gf {

TEST_CASE("an_error_shows_its_message_then_its_context_from_the_inside_out", "[base]") {
  Error error(Code::corrupt, "tensor ", "a", ": expected ", 3, ", found ", 4);
  error.add_context("while loading weights").add_context("while starting");
  CHECK(std::string(error.what()) == "tensor a: expected 3, found 4\n  while loading weights\n  while starting");
  CHECK(error.code() == Code::corrupt);
}

TEST_CASE("with_context_adds_its_line_to_an_error_that_passes", "[base]") {
  const Error error = test::error_of([] { with_context("while testing", [] { throw Error(Code::io, "no"); }); });
  REQUIRE(error.context().size() == 1);
  CHECK(error.context()[0] == "while testing");
}

TEST_CASE("a_full_file_system_has_its_own_code", "[base]") {
  CHECK(system_error(ENOSPC, "x").code() == Code::no_space);
  CHECK(system_error(EDQUOT, "x").code() == Code::no_space);
  CHECK(system_error(EACCES, "x").code() == Code::io);
}

}  // namespace gf
