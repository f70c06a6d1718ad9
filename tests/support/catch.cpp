// main() of every test program, and a listener that ends the output with
// "N passed, N failed, N skipped" counted by test case.
#if GF_CATCH_MAJOR < 3
#define CATCH_CONFIG_MAIN
#endif
#include "tests/support/catch.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace gf::test {
namespace {

bool current_case_was_skipped = false;

#if GF_CATCH_MAJOR >= 3
using ListenerBase = Catch::EventListenerBase;
const char* case_name(const Catch::TestCaseStats& stats) { return stats.testInfo->name.c_str(); }
#else
using ListenerBase = Catch::TestEventListenerBase;
const char* case_name(const Catch::TestCaseStats& stats) { return stats.testInfo.name.c_str(); }
#endif

class Counter : public ListenerBase {
 public:
  using ListenerBase::ListenerBase;

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    ListenerBase::testCaseStarting(info);
    current_case_was_skipped = false;
  }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (!stats.totals.assertions.allPassed()) {
      ++failed_;
    } else if (current_case_was_skipped) {
      ++skipped_;
    } else if (stats.totals.assertions.passed == 0) {
      std::printf("FAILED: %s: it checked nothing\n", case_name(stats));
      ++failed_;
    } else {
      ++passed_;
    }
  }
  void testRunEnded(const Catch::TestRunStats& stats) override {
    ListenerBase::testRunEnded(stats);
    std::printf("counted: %d passed, %d failed, %d skipped\n", passed_, failed_, skipped_);
  }

 private:
  int passed_ = 0;
  int failed_ = 0;
  int skipped_ = 0;
};

}  // namespace

CATCH_REGISTER_LISTENER(Counter)

void skip(const std::string& reason) {
  current_case_was_skipped = true;
  std::printf("SKIPPED: %s: %s\n", Catch::getResultCapture().getCurrentTestName().c_str(), reason.c_str());
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "gf-test.XXXXXX").native();
  if (::mkdtemp(pattern.data()) == nullptr) throw Error(Code::io, "cannot make a temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path data_path(std::string_view name) {
  return std::filesystem::path(GF_SOURCE_DIR) / "tests" / "data" / name;
}

}  // namespace gf::test
