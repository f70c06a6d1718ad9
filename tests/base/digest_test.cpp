// SHA-384 against the examples of FIPS 180-4, and the strict hexadecimal form.
#include "kernels/base/digest.h"

#include <fcntl.h>

#include "tests/support/catch.h"

namespace gf {

TEST_CASE("sha384_matches_the_published_examples", "[base]") {
  CHECK(sha384("abc").hex() ==
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  CHECK(sha384("").hex() ==
        "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b");
}

TEST_CASE("a_hash_in_parts_equals_the_hash_of_the_whole_and_starts_anew", "[base]") {
  Sha384 hash;
  CHECK(hash.update("a").update("bc").finish() == sha384("abc"));
  CHECK(hash.finish() == sha384(""));
}

TEST_CASE("only_lower_case_hexadecimal_of_full_length_is_a_digest", "[base]") {
  const std::string good = sha384("abc").hex();
  CHECK(Digest::from_hex(good, "x") == sha384("abc"));
  std::string upper = good;
  upper[0] = 'C';
  CHECK(test::error_of([&] { Digest::from_hex(upper, "x"); }).code() == Code::input);
  CHECK(test::error_of([&] { Digest::from_hex(good.substr(1), "x"); }).code() == Code::input);
}

TEST_CASE("a_file_is_hashed_from_its_start", "[base]") {
  const Fd memory = sealed_memory("m", as_bytes("abc"));
  std::byte one{};
  read_exactly(memory, {}, "m");
  pread_exactly(memory, {&one, 1}, 1, "m");
  CHECK(sha384_of_file(memory, "m") == sha384("abc"));
}

}  // namespace gf
