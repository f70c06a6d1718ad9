// Messages between gf-run and the processes that its launcher makes: a JSON value and descriptors,
// over one connected stream socket.
//
// On the wire: 16 bytes (magic "GFC1", number of descriptors, length of the body; all little-endian,
// 4 + 4 + 8), carrying the descriptors as SCM_RIGHTS, and then the body as CBOR (RFC 8949). CBOR and
// not JSON text, so that a file name that is not UTF-8 arrives as it is.
//
// A Channel is used by one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"

namespace gf {

struct Message {
  nlohmann::json body;
  std::vector<Fd> fds;  // close-on-exec
};

class Channel {
 public:
  static constexpr uint64_t kMaxBodyBytes = uint64_t{256} << 20;
  static constexpr size_t kMaxDescriptors = 32;
  static constexpr int kMaxDepth = 64;

  explicit Channel(Fd socket) : socket_(std::move(socket)) {}

  // Two connected ends.
  static std::pair<Channel, Channel> pair();

  // The descriptors stay the caller's. Throws Code::io when the other side is gone.
  void send(const nlohmann::json& body, std::span<const int> fds = {});
  // The other side's receive() throws this error.
  void send_error(const Error& error);

  // nullopt: the other side closed between two messages. Throws the Error that the other side sent
  // ({"error":{"code","message","context"}}), Code::io on a broken connection, and Code::corrupt on
  // bytes that are no message.
  std::optional<Message> receive();
  // As receive(); Code::io "timed out" when the message was not here in time.
  std::optional<Message> receive_for(std::chrono::milliseconds limit);

  [[nodiscard]] int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }
  [[nodiscard]] Fd release() { return std::move(socket_); }

 private:
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;
  std::optional<Message> receive_until(Deadline deadline);
  // False: closed before the first byte.
  bool read_some(std::span<std::byte> bytes, std::vector<Fd>* fds, Deadline deadline);
  Fd socket_;
};

}  // namespace gf
