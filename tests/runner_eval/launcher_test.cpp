// Channel and Launcher: messages with descriptors, errors that travel, and children that end when
// they must.
#include "runner/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "tests/support/catch.h"

using namespace gf;
using nlohmann::json;

namespace {

int echo(Channel& channel, const json& request, std::vector<Fd>& fds) {
  channel.send({{"request", request}, {"fds", fds.size()}});
  while (std::optional<Message> message = channel.receive()) channel.send(message->body);
  return 7;
}

int throws(Channel&, const json&, std::vector<Fd>&) {
  Error error(Code::target, "the disk is on fire");
  throw error.add_context("while looking");
}

int throws_foreign(Channel&, const json&, std::vector<Fd>&) { throw std::runtime_error("surprise"); }

int lists_descriptors(Channel& channel, const json&, std::vector<Fd>& fds) {
  std::set<int> open;
  for (int fd = 0; fd < 1024; ++fd)
    if (::fcntl(fd, F_GETFD) >= 0) open.insert(fd);
  std::set<int> expected = {0, 1, 2, channel.fd()};
  for (const Fd& fd : fds) expected.insert(fd.get());
  struct sigaction action {};
  ::sigaction(SIGTERM, nullptr, &action);
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  channel.send({{"only_expected", open == expected},
                {"stdin", std::filesystem::read_symlink("/proc/self/fd/0").string()},
                {"group", ::getpgrp() == ::getpid()},
                {"default_signals", action.sa_handler == SIG_DFL && sigismember(&blocked, SIGCHLD) == 0}});
  return 0;
}

// A grandchild holds the write end of the pipe in fds[0]; end of file there means that it is gone.
int leaves_a_grandchild(Channel& channel, const json& request, std::vector<Fd>& fds) {
  if (::fork() == 0) {
    while (true) ::pause();
  }
  fds.clear();
  channel.send("ready");
  if (request == "exit") return 0;
  channel.receive();
  while (true) ::pause();
}

int dies_of_a_signal(Channel&, const json&, std::vector<Fd>&) {
  ::raise(SIGKILL);
  return 0;
}

// Writes a byte once the channel is closed.
int finishes_after_close(Channel& channel, const json&, std::vector<Fd>& fds) {
  channel.send("ready");
  while (channel.receive()) {
  }
  write_all(fds.at(0), as_bytes("done"), "the pipe");
  return 0;
}

constexpr std::array kEntries = {
    EntryPoint{"echo", echo},
    EntryPoint{"throws", throws},
    EntryPoint{"throws-foreign", throws_foreign},
    EntryPoint{"descriptors", lists_descriptors},
    EntryPoint{"grandchild", leaves_a_grandchild},
    EntryPoint{"signal", dies_of_a_signal},
    EntryPoint{"commit", finishes_after_close},
    EntryPoint{"slow", finishes_after_close},
};

struct Pipe {
  Fd read, write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

// What arrives before the end of file; fails if that does not come.
std::string read_to_end(const Fd& pipe) {
  std::string text;
  std::array<char, 64> buffer{};
  while (true) {
    pollfd waiting{pipe.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 20000) != 1) throw Error(Code::io, "the pipe stays open");
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
}

}  // namespace

TEST_CASE("messages_arrive_with_their_descriptors_and_any_bytes") {
  auto [a, b] = Channel::pair();
  const Pipe pipe = make_pipe();
  const std::string not_utf8 = "caf\xe9\xff";
  a.send({{"name", not_utf8}, {"n", -5}, {"big", uint64_t{1} << 63}}, std::array{pipe.write.get()});
  a.send(json::array({1, nullptr, 2.5}));
  std::optional<Message> first = b.receive();
  REQUIRE(first);
  CHECK(first->body["name"].get<std::string>() == not_utf8);
  CHECK(first->body["n"] == -5);
  CHECK(first->body["big"].get<uint64_t>() == uint64_t{1} << 63);
  REQUIRE(first->fds.size() == 1);
  CHECK(::fcntl(first->fds[0].get(), F_GETFD) == FD_CLOEXEC);
  write_all(first->fds[0], as_bytes("x"), "pipe");
  char got = 0;
  REQUIRE(::read(pipe.read.get(), &got, 1) == 1);
  std::optional<Message> second = b.receive();
  REQUIRE(second);
  CHECK(second->body == json::array({1, nullptr, 2.5}));
  CHECK(second->fds.empty());
  a.close();
  CHECK_FALSE(b.receive());
}

TEST_CASE("a_message_of_many_megabytes_arrives_whole") {
  auto [a, b] = Channel::pair();
  const std::string text(20 << 20, 'x');
  std::thread sender([&a = a, &text] { a.send(text); });
  std::optional<Message> message = b.receive();
  sender.join();
  REQUIRE(message);
  CHECK(message->body.get_ref<const std::string&>() == text);
}

TEST_CASE("an_error_travels_with_code_message_and_context") {
  auto [a, b] = Channel::pair();
  Error sent(Code::no_space, "full");
  sent.add_context("while x").add_context("while y");
  a.send_error(sent);
  const Error error = test::error_of([&b = b] { b.receive(); });
  CHECK(error.code() == Code::no_space);
  CHECK(error.message() == "full");
  CHECK(error.context() == std::vector<std::string>{"while x", "while y"});
}

TEST_CASE("an_error_with_an_unknown_code_is_corrupt") {
  auto [a, b] = Channel::pair();
  const int code = GENERATE(0, 77, -3);
  a.send({{"error", {{"code", code}, {"message", "x"}, {"context", json::array()}}}});
  CHECK(test::error_of([&b = b] { b.receive(); }).code() == Code::corrupt);
}

TEST_CASE("a_message_that_does_not_come_times_out") {
  auto [a, b] = Channel::pair();
  const Error error = test::error_of([&b = b] { b.receive_for(std::chrono::milliseconds(1)); });
  CHECK(error.code() == Code::io);
  CHECK(error.message().find("timed out") != std::string::npos);
  a.send("late");
  CHECK(b.receive_for(std::chrono::seconds(10))->body == "late");
}

TEST_CASE("malformed_messages_are_refused") {
  auto [a, b] = Channel::pair();
  std::string bytes;
  SECTION("wrong magic") { bytes = std::string("XFC1\0\0\0\0\0\0\0\0\0\0\0\0", 16); }
  SECTION("absurd length") { bytes = std::string("GFC1\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", 16); }
  SECTION("descriptors announced but not sent") { bytes = std::string("GFC1\1\0\0\0\1\0\0\0\0\0\0\0\xf6", 17); }
  SECTION("empty body") { bytes = std::string("GFC1\0\0\0\0\0\0\0\0\0\0\0\0", 16); }
  SECTION("bytes after the value") { bytes = std::string("GFC1\0\0\0\0\2\0\0\0\0\0\0\0\xf6\xf6", 18); }
  SECTION("nesting that would overflow a stack") {
    bytes = std::string("GFC1\0\0\0\0\0\0\1\0\0\0\0\0", 16) + std::string(65536, '\x81');
  }
  REQUIRE(::send(a.fd(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  CHECK(test::error_of([&b = b] { b.receive(); }).code() == Code::corrupt);
}

TEST_CASE("a_message_cut_by_the_end_of_its_sender_is_an_error") {
  auto [a, b] = Channel::pair();
  const std::string bytes("GFC1\0\0\0\0\2\0\0\0\0\0\0\0\xf6", 17);
  REQUIRE(::send(a.fd(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  a.close();
  CHECK(test::error_of([&b = b] { b.receive(); }).code() == Code::io);
}

TEST_CASE("a_child_gets_its_request_and_answers_until_its_channel_closes") {
  const auto launcher = Launcher::start(kEntries);
  Child child = launcher->launch("echo", {{"a", 1}}, {0, 1});
  CHECK(child.channel().receive()->body == json{{"request", {{"a", 1}}}, {"fds", 2}});
  child.channel().send("again");
  CHECK(child.channel().receive()->body == "again");
  child.channel().close();
  CHECK(child.wait() == 7);
  CHECK(child.wait() == 7);
}

TEST_CASE("a_child_is_born_with_nothing_but_its_own_descriptors") {
  const Fd stray(::dup(1));  // not close-on-exec
  const auto launcher = Launcher::start(kEntries);
  Child neighbour = launcher->launch("echo", nullptr);
  Child child = launcher->launch("descriptors", nullptr, {1});
  const json answer = child.channel().receive()->body;
  CHECK(answer["only_expected"] == true);
  CHECK(answer["stdin"] == "/dev/null");
  CHECK(answer["group"] == true);
  CHECK(answer["default_signals"] == true);
  CHECK(child.wait() == 0);
}

TEST_CASE("an_error_in_a_child_is_thrown_here_and_is_its_exit_status") {
  const auto launcher = Launcher::start(kEntries);
  Child child = launcher->launch("throws", nullptr);
  const Error error = test::error_of([&] { child.channel().receive(); });
  CHECK(error.code() == Code::target);
  CHECK(error.message() == "the disk is on fire");
  CHECK(child.wait() == static_cast<int>(Code::target));
  Child foreign = launcher->launch("throws-foreign", nullptr);
  CHECK(test::error_of([&] { foreign.channel().receive(); }).code() == Code::internal);
  CHECK(foreign.wait() == static_cast<int>(Code::internal));
}

TEST_CASE("a_child_that_dies_of_a_signal_says_which") {
  const auto launcher = Launcher::start(kEntries);
  Child child = launcher->launch("signal", nullptr);
  CHECK_FALSE(child.channel().receive());
  CHECK(child.wait() == 128 + SIGKILL);
}

TEST_CASE("an_unknown_entry_is_refused") {
  const auto launcher = Launcher::start(kEntries);
  CHECK(test::error_of([&] { launcher->launch("ech", nullptr); }).code() == Code::internal);
}

TEST_CASE("what_a_child_leaves_behind_is_killed_when_it_ends") {
  const auto launcher = Launcher::start(kEntries);
  Pipe pipe = make_pipe();
  Child child = launcher->launch("grandchild", "exit", {pipe.write.get()});
  pipe.write.reset();
  CHECK(child.wait() == 0);
  CHECK(read_to_end(pipe.read).empty());
}

TEST_CASE("dropping_a_child_kills_its_whole_group") {
  const auto launcher = Launcher::start(kEntries);
  Pipe pipe = make_pipe();
  {
    Child child = launcher->launch("grandchild", "stay", {pipe.write.get()});
    pipe.write.reset();
    CHECK(child.channel().receive()->body == "ready");
  }
  CHECK(read_to_end(pipe.read).empty());
}

TEST_CASE("dropping_a_commit_child_lets_it_finish") {
  const auto launcher = Launcher::start(kEntries);
  Pipe pipe = make_pipe();
  {
    Child child = launcher->launch("commit", nullptr, {pipe.write.get()});
    CHECK(child.channel().receive()->body == "ready");
  }
  pipe.write.reset();
  CHECK(read_to_end(pipe.read) == "done");
}

TEST_CASE("when_gf_run_is_killed_its_children_end_and_a_commit_finishes") {
  Pipe killed = make_pipe();
  Pipe committed = make_pipe();
  Pipe ready = make_pipe();
  const pid_t gf_run = ::fork();
  REQUIRE(gf_run >= 0);
  if (gf_run == 0) {
    const auto launcher = Launcher::start(kEntries);
    Child trial = launcher->launch("grandchild", "stay", {killed.write.get()});
    Child commit = launcher->launch("commit", nullptr, {committed.write.get()});
    trial.channel().receive();
    commit.channel().receive();
    write_all(ready.write, as_bytes("r"), "pipe");
    while (true) ::pause();
  }
  killed.write.reset();
  committed.write.reset();
  char got = 0;
  REQUIRE(::read(ready.read.get(), &got, 1) == 1);
  REQUIRE(::kill(gf_run, SIGKILL) == 0);
  REQUIRE(::waitpid(gf_run, nullptr, 0) == gf_run);
  CHECK(read_to_end(killed.read).empty());
  CHECK(read_to_end(committed.read) == "done");
}

TEST_CASE("when_the_launcher_is_killed_its_children_die_and_gf_run_is_told") {
  const auto launcher = Launcher::start(kEntries);
  Child child = launcher->launch("echo", nullptr);
  child.channel().receive();
  REQUIRE(::kill(launcher->pid(), SIGKILL) == 0);
  CHECK_FALSE(child.channel().receive());
  CHECK(test::error_of([&] { child.wait(); }).code() == Code::io);
  CHECK(test::error_of([&] { launcher->launch("echo", nullptr); }).code() == Code::io);
}

TEST_CASE("many_threads_launch_and_wait_at_once") {
  const auto launcher = Launcher::start(kEntries);
  std::array<int, 8> right{};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < right.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        Child child = launcher->launch("echo", i);
        const std::optional<Message> answer = child.channel().receive();
        child.channel().close();
        if (answer && answer->body["request"] == i && child.wait() == 7) ++right[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : right) CHECK(count == 10);
}

TEST_CASE("a_launcher_is_not_started_beside_threads") {
  Pipe pipe = make_pipe();
  std::thread other([&] { read_to_end(pipe.read); });
  const Error error = test::error_of([] { Launcher::start(kEntries); });
  pipe.write.reset();
  other.join();
  CHECK(error.code() == Code::internal);
}
