// SHA-384 over OpenSSL's EVP interface.
#include "kernels/base/digest.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "kernels/base/error.h"

namespace gf {
namespace {

const EVP_MD* algorithm() {
  // Never freed: it lives as long as the process, and OpenSSL's own exit handler may run first.
  static EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA2-384", nullptr);
  if (fetched == nullptr) throw Error(Code::unsupported, "OpenSSL offers no SHA-384 on this machine");
  return fetched;
}

int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

}  // namespace

std::string Digest::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * kBytes);
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15U];
  }
  return text;
}

Digest Digest::from_hex(std::string_view hex, std::string_view what) {
  if (hex.size() != 2 * kBytes)
    throw Error(Code::input, what, ": expected a SHA-384 of 96 lower-case hexadecimal digits, found ", hex.size(),
                " characters");
  Digest digest;
  for (size_t i = 0; i < kBytes; ++i) {
    const int high = digit_value(hex[2 * i]);
    const int low = digit_value(hex[2 * i + 1]);
    if (high < 0 || low < 0)
      throw Error(Code::input, what, ": expected lower-case hexadecimal digits in a SHA-384, found others");
    digest.bytes[i] = static_cast<std::byte>(high * 16 + low);
  }
  return digest;
}

struct Sha384::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
  void start() const {
    if (context == nullptr || EVP_DigestInit_ex2(context, algorithm(), nullptr) != 1)
      throw Error(Code::unsupported, "OpenSSL could not start SHA-384");
  }
};

Sha384::Sha384() : state_(std::make_unique<State>()) { state_->start(); }
Sha384::~Sha384() = default;
Sha384::Sha384(Sha384&&) noexcept = default;
Sha384& Sha384::operator=(Sha384&&) noexcept = default;

Sha384& Sha384::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1)
    throw Error(Code::internal, "SHA-384 update failed");
  return *this;
}

Sha384& Sha384::update(std::string_view text) { return update(as_bytes(text)); }

Digest Sha384::finish() {
  Digest digest;
  unsigned size = 0;
  if (EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.bytes.data()), &size) != 1 ||
      size != Digest::kBytes)
    throw Error(Code::internal, "SHA-384 gave ", size, " bytes");
  state_->start();
  return digest;
}

Digest sha384(std::span<const std::byte> bytes) { return Sha384().update(bytes).finish(); }
Digest sha384(std::string_view text) { return Sha384().update(text).finish(); }

Digest sha384_of_file(const Fd& fd, std::string_view what) {
  static constexpr size_t kBlockBytes = size_t{1} << 20;
  std::vector<std::byte> block(kBlockBytes);
  Sha384 hash;
  off_t offset = 0;
  while (true) {
    const ssize_t got = ::pread(fd.get(), block.data(), block.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read " + std::string(what));
    if (got == 0) return hash.finish();
    hash.update(std::span<const std::byte>(block.data(), static_cast<size_t>(got)));
    offset += got;
  }
}

}  // namespace gf
