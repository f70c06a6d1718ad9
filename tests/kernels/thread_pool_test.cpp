#include "kernels/cpu/thread_pool.h"

#include <numeric>

#include "tests/support/catch.h"

namespace gf {

TEST_CASE("every_part_runs_exactly_once_in_every_job", "[kernels]") {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int job = 0; job < 500; ++job) {
      std::vector<int> ran(static_cast<size_t>(1 + job % 17), 0);
      pool.run(static_cast<int64_t>(ran.size()), [&](int64_t part, int thread) {
        if (thread >= 0 && thread < threads) ++ran[static_cast<size_t>(part)];
      });
      REQUIRE(std::count(ran.begin(), ran.end(), 1) == static_cast<int64_t>(ran.size()));
    }
  }
}

TEST_CASE("a_job_of_no_parts_returns", "[kernels]") {
  ThreadPool pool(2);
  bool ran = false;
  pool.run(0, [&](int64_t, int) { ran = true; });
  CHECK(!ran);
}

TEST_CASE("pools_with_more_threads_than_cores_work_side_by_side", "[kernels]") {
  const int many = 3 * static_cast<int>(usable_processors().size());
  ThreadPool first(many);
  ThreadPool second(many);
  std::atomic<int64_t> sum = 0;
  for (int job = 0; job < 50; ++job) {
    first.run(40, [&](int64_t part, int) { sum += part; });
    second.run(40, [&](int64_t part, int) { sum += part; });
  }
  CHECK(sum == 2 * 50 * (39 * 40 / 2));
}

}  // namespace gf
