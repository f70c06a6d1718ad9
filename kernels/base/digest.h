// SHA-384 (FIPS 180-4), over OpenSSL's EVP. The algorithm is fetched once: OpenSSL 3's implicit
// fetch costs more than hashing a small block.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kernels/base/fd.h"

namespace gf {

struct Digest {
  static constexpr size_t kBytes = 48;
  std::array<std::byte, kBytes> bytes{};

  auto operator<=>(const Digest&) const = default;
  [[nodiscard]] std::string hex() const;  // 96 lower-case digits
  // Exactly 96 lower-case hexadecimal digits, or Code::input naming `what`.
  static Digest from_hex(std::string_view hex, std::string_view what);
};

class Sha384 {
 public:
  Sha384();
  ~Sha384();
  Sha384(Sha384&&) noexcept;
  Sha384& operator=(Sha384&&) noexcept;
  Sha384& update(std::span<const std::byte> bytes);
  Sha384& update(std::string_view text);
  // The digest of everything since construction or the last finish(); then starts anew.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha384(std::span<const std::byte> bytes);
Digest sha384(std::string_view text);
// From the file's start, whatever its position; reads 1 MiB at a time.
Digest sha384_of_file(const Fd& fd, std::string_view what);

}  // namespace gf
