// Channel: framing, descriptors, and errors that travel.
#include "runner/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace gf {
namespace {

using nlohmann::json;

constexpr std::array<char, 4> kMagic = {'G', 'F', 'C', '1'};

struct Header {
  std::array<char, 4> magic = kMagic;
  uint32_t descriptors = 0;
  uint64_t body_bytes = 0;
};
static_assert(sizeof(Header) == 16);

// Refuses nesting before a recursive reader meets it: a child that evaluates foreign content must
// not be able to overflow the stack of gf-run.
class DepthCheck : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= Channel::kMaxDepth; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override { return ++depth_ <= Channel::kMaxDepth; }
  bool end_array() override { return --depth_, true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  int depth_ = 0;
};

json parse_body(const std::vector<uint8_t>& bytes) {
  DepthCheck depth;
  if (!json::sax_parse(bytes, &depth, json::input_format_t::cbor))
    throw Error(Code::corrupt, "a message between processes is malformed or nested too deeply");
  return json::from_cbor(bytes);
}

[[noreturn]] void throw_sent_error(const json& error) {
  try {
    Error sent(static_cast<Code>(error.at("code").get<int>()), error.at("message").get<std::string>());
    for (const json& line : error.at("context")) sent.add_context(line.get<std::string>());
    throw sent;
  } catch (const json::exception&) {
    throw Error(Code::corrupt, "an error sent between processes is malformed");
  }
}

bool is_known(int code) { return code == 1 || code_name(static_cast<Code>(code)) != code_name(Code::internal); }

void wait_until_readable(int fd, const std::optional<std::chrono::steady_clock::time_point>& deadline) {
  while (true) {
    int left_ms = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
      left_ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
    }
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, left_ms);
    if (ready > 0) return;
    if (ready == 0) throw Error(Code::io, "timed out waiting for a message of another process");
    if (errno != EINTR) throw system_error(errno, "cannot wait for a message");
  }
}

void send_bytes(int socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) throw system_error(errno, "cannot send a message to another process");
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
}

}  // namespace

std::pair<Channel, Channel> Channel::pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw system_error(errno, "cannot make a socket pair");
  return {Channel(Fd(ends[0])), Channel(Fd(ends[1]))};
}

void Channel::send(const json& body, std::span<const int> fds) {
  if (fds.size() > kMaxDescriptors)
    throw Error(Code::internal, "a message with ", fds.size(), " descriptors, at most ", kMaxDescriptors);
  const std::vector<uint8_t> bytes = json::to_cbor(body);
  if (bytes.size() > kMaxBodyBytes)
    throw Error(Code::internal, "a message of ", bytes.size(), " bytes, at most ", kMaxBodyBytes);
  Header header;
  header.descriptors = static_cast<uint32_t>(fds.size());
  header.body_bytes = bytes.size();

  iovec part{&header, sizeof header};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t sent = -1;
  do sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) throw system_error(errno, "cannot send a message to another process");
  // The descriptors went with the first byte; the rest of the header needs none.
  send_bytes(socket_.get(), std::as_bytes(std::span(&header, 1)).subspan(static_cast<size_t>(sent)));
  send_bytes(socket_.get(), std::as_bytes(std::span(bytes)));
}

void Channel::send_error(const Error& error) {
  send({{"error",
         {{"code", static_cast<int>(error.code())}, {"message", error.message()}, {"context", error.context()}}}});
}

std::optional<Message> Channel::receive() { return receive_until(std::nullopt); }

std::optional<Message> Channel::receive_for(std::chrono::milliseconds limit) {
  return receive_until(std::chrono::steady_clock::now() + limit);
}

bool Channel::read_some(std::span<std::byte> bytes, std::vector<Fd>* fds, Deadline deadline) {
  size_t done = 0;
  while (done < bytes.size()) {
    if (deadline) wait_until_readable(socket_.get(), deadline);
    iovec part{bytes.data() + done, bytes.size() - done};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ECONNRESET && done == 0) return false;  // closed with our last message unread
    if (got < 0) throw system_error(errno, "cannot receive a message of another process");
    std::vector<Fd> received;  // owned at once, so that none leaks
    for (cmsghdr* rights = CMSG_FIRSTHDR(&message); rights != nullptr; rights = CMSG_NXTHDR(&message, rights)) {
      if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
      const size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(rights) + i * sizeof(int), sizeof fd);
        received.emplace_back(fd);
      }
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0)
      throw Error(Code::io, "descriptors sent by another process were lost; is the limit of open files reached?");
    if (fds == nullptr && !received.empty()) throw Error(Code::corrupt, "descriptors in the middle of a message");
    for (Fd& fd : received) fds->push_back(std::move(fd));
    if (got == 0 && done == 0) return false;
    if (got == 0) throw Error(Code::io, "another process ended in the middle of a message");
    done += static_cast<size_t>(got);
  }
  return true;
}

std::optional<Message> Channel::receive_until(Deadline deadline) {
  Header header;
  Message message;
  if (!read_some(std::as_writable_bytes(std::span(&header, 1)), &message.fds, deadline)) return std::nullopt;
  if (header.magic != kMagic || header.body_bytes > kMaxBodyBytes || header.descriptors != message.fds.size())
    throw Error(Code::corrupt, "a message between processes has a malformed header");
  std::vector<uint8_t> bytes(header.body_bytes);
  if (!bytes.empty() && !read_some(std::as_writable_bytes(std::span(bytes)), nullptr, deadline))
    throw Error(Code::io, "another process ended in the middle of a message");
  message.body = parse_body(bytes);
  if (message.body.is_object() && message.body.size() == 1 && message.body.contains("error")) {
    const json& error = message.body["error"];
    if (!error.is_object() || !error.contains("code") || !error["code"].is_number_integer() ||
        !is_known(error["code"].get<int>()))
      throw Error(Code::corrupt, "an error sent between processes is malformed");
    throw_sent_error(error);
  }
  return message;
}

}  // namespace gf
