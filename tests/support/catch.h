// Catch2, version 2 (Debian 12) or 3, and what our tests add: temporary folders, counted skips, and
// checks on Error codes.
#pragma once

#if GF_CATCH_MAJOR >= 3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <filesystem>
#include <string>
#include <string_view>

#include "kernels/base/error.h"

namespace gf::test {

// Counts the running test case as skipped, with its reason; the test must return after it.
void skip(const std::string& reason);
// Leaves the test case when it cannot run here. A skip is printed and counted, never silent.
#define GF_SKIP(reason)     \
  do {                      \
    gf::test::skip(reason); \
    return;                 \
  } while (false)

// A new empty folder, removed with all that is in it at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Runs f and returns the Error that it threw; fails the test if it threw none.
template <typename F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  FAIL("expected an Error, and nothing was thrown");
  return Error(Code::internal, "unreachable");
}

// tests/data/NAME in the source tree.
std::filesystem::path data_path(std::string_view name);

}  // namespace gf::test
