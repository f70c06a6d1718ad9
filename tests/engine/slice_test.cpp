// The real widths of the 31B model in two layers: 2 GB of weights, made from the recipe. A program of its own,
// because it takes longer than all the others.
#include <unistd.h>

#include "tests/support/catch.h"
#include "tests/tools/golden_model.h"

namespace gf {

TEST_CASE("real_widths_equal_the_published_code", "[slice]") {
  const int64_t free_bytes = int64_t{sysconf(_SC_AVPHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  if (free_bytes < int64_t{4} << 30) GF_SKIP("needs 4 GiB of free memory");
  const auto folder = test::data_path("goldens/31b-slice");
  CHECK_NOTHROW(test::check_model_golden(folder, "reference"));
  CHECK_NOTHROW(test::check_model_golden(folder, "cpu"));
}

}  // namespace gf
