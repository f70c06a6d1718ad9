// The anti-rollback state: reading, judging, and writing it so that a power cut cannot lower it.
#include "bundles/state.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>

#include "bundles/limits.h"
#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

using namespace std::chrono_literals;

constexpr const char* kStateFile = "state.json";
constexpr const char* kAuditFile = "audit.log";
constexpr const char* kLockFile = "lock";
constexpr uint64_t kMaxStateBytes = 16U << 20;
constexpr size_t kCrlNumberDigits = 40;
// A clock may be wrong by a time zone, or by the difference between two hosts.
constexpr auto kClockTolerance = 24h;
// No bundle is older than the format: a clock before it was reset (a flat battery gives 1970 or 2000).
constexpr Time kEarliestClock{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};

AcceptanceState parse_state(std::string_view text, const std::string& name) {
  const nlohmann::json json = parse_json(text, name, {.depth = 4, .floats_allowed = false});
  JsonObject object(json, name);
  AcceptanceState state;
  object.integer("format_version", 1, 1);
  if (object.has("time_floor")) state.time_floor = parse_time(object.string("time_floor"), name + ".time_floor");
  JsonObject streams = object.object("streams");
  for (const auto& [stream, value] : streams.value().items()) {
    check_stream(stream, name + ".streams");
    JsonObject entry = streams.object(stream);
    AcceptedVersion& accepted = state.streams[stream];
    accepted.version = static_cast<uint64_t>(entry.integer("version", 1, static_cast<int64_t>(kMaxVersion)));
    accepted.bundle = Digest::from_hex(entry.string("bundle"), entry.path() + ".bundle");
    entry.finish();
  }
  JsonObject numbers = object.object("crl_numbers");
  for (const auto& [issuer, value] : numbers.value().items()) {
    std::string number = numbers.string(issuer);
    if (number.size() != kCrlNumberDigits || number.find_first_not_of("0123456789abcdef") != std::string::npos)
      throw Error(Code::corrupt, numbers.path(), ": expected a number of 40 hexadecimal digits");
    state.crl_numbers.push_back({Digest::from_hex(issuer, numbers.path()), std::move(number)});
  }
  object.finish();
  return state;
}

std::string state_json(const AcceptanceState& state) {
  nlohmann::json json = {
      {"format_version", 1}, {"streams", nlohmann::json::object()}, {"crl_numbers", nlohmann::json::object()}};
  if (state.time_floor) json["time_floor"] = format_time(*state.time_floor);
  for (const auto& [stream, accepted] : state.streams)
    json["streams"][stream] = {{"version", accepted.version}, {"bundle", accepted.bundle.hex()}};
  for (const CrlNumber& number : state.crl_numbers) json["crl_numbers"][number.issuer_key.hex()] = number.number;
  return canonical_json(json) + "\n";
}

void raise_crl_number(AcceptanceState& state, const CrlNumber& seen) {
  for (CrlNumber& known : state.crl_numbers) {
    if (known.issuer_key != seen.issuer_key) continue;
    known.number = std::max(known.number, seen.number);
    return;
  }
  state.crl_numbers.push_back(seen);
}

// A log whose last line was cut by a power loss gets its line end, so that lines stay lines.
void append_line(const Fd& folder, std::string_view line) {
  const Fd log = open_in_root_without_links(folder, kAuditFile, O_RDWR | O_CREAT | O_APPEND, 0600);
  const struct stat status = stat_of(log, kAuditFile);
  std::string text(line);
  text += '\n';
  if (status.st_size > 0) {
    std::byte last{};
    pread_exactly(log, std::span(&last, 1), static_cast<uint64_t>(status.st_size) - 1, kAuditFile);
    if (last != std::byte{'\n'}) text.insert(text.begin(), '\n');
  }
  write_all(log, as_bytes(text), kAuditFile);
  sync_file(log, kAuditFile);
  sync_file(folder, "the state folder");
}

}  // namespace

AcceptanceState read_state(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kStateFile;
  std::error_code error;
  const bool exists = std::filesystem::exists(file, error);
  if (error) throw Error(Code::io, "cannot look for ", file.native(), ": ", error.message());
  if (!exists) return {};
  const std::string text = read_text_file(file, kMaxStateBytes);
  try {
    return parse_state(text, "state.json");
  } catch (const Error& problem) {
    throw Error(Code::corrupt, file.native(), " is damaged: ", problem.message(),
                ": restore it from a backup; without it older bundles would be accepted again");
  }
}

void check_clock(const AcceptanceState& state, Time now) {
  if (now < kEarliestClock)
    throw Error(Code::stale, "the clock reads ", format_time(now),
                ", a time before this format existed: set the clock");
  if (state.time_floor && now < *state.time_floor - kClockTolerance)
    throw Error(Code::stale, "the clock reads ", format_time(now), ", and a bundle was accepted here at ",
                format_time(*state.time_floor), ": the clock was set back (freeze attack); set the clock");
}

Time checking_time(const AcceptanceState& state, Time now) {
  return state.time_floor ? std::max(now, *state.time_floor) : now;
}

void check_freshness(const AcceptanceState& state, const Manifest& manifest, const Digest& bundle, const Trust& trust,
                     Time now) {
  const Time when = checking_time(state, now);
  if (manifest.created > when + kClockTolerance)
    throw Error(Code::stale, "step 6 (freshness): made at ", format_time(manifest.created), ", and the clock reads ",
                format_time(now), ": the clock is behind, or the bundle is dated ahead (fast-forward attack)");
  if (manifest.expires <= when)
    throw Error(Code::stale, "step 6 (freshness): expired at ", format_time(manifest.expires), ", and it is ",
                format_time(when), ": get a newer bundle (freeze attack)");
  const auto known = state.streams.find(manifest.stream);
  if (known == state.streams.end()) return;
  const AcceptedVersion& highest = known->second;
  if (manifest.version < highest.version)
    throw Error(Code::stale, "step 6 (freshness): version ", manifest.version, " of stream ", manifest.stream,
                ", and version ", highest.version, " was accepted here before (rollback attack)");
  if (manifest.version > highest.version) return;
  if (bundle != highest.bundle)
    throw Error(Code::stale, "step 6 (freshness): version ", manifest.version, " of stream ", manifest.stream,
                " was accepted here with other content, digest ", highest.bundle.hex(),
                ": raise the version (mix-and-match attack)");
  if (!trust.allow_replay)
    throw Error(Code::stale, "step 6 (freshness): version ", manifest.version, " of stream ", manifest.stream,
                " was accepted here before, and allow_replay is false in the trust file (replay)");
}

void record_acceptance(const Manifest& manifest, const Digest& bundle, const std::vector<CrlNumber>& crl_numbers,
                       const Trust& trust, Time now, std::string_view audit_line) {
  make_folders(trust.state, 0700);
  const Fd folder = open_directory(trust.state);
  const Fd lock = open_in_root_without_links(folder, kLockFile, O_RDWR | O_CREAT, 0600);
  while (::flock(lock.get(), LOCK_EX) != 0)
    if (errno != EINTR) throw system_error(errno, "cannot lock the state folder " + trust.state.native());

  AcceptanceState state = read_state(trust.state);
  check_clock(state, now);
  check_freshness(state, manifest, bundle, trust, now);
  state.streams[manifest.stream] = {manifest.version, bundle};
  state.time_floor = checking_time(state, now);
  for (const CrlNumber& number : crl_numbers) raise_crl_number(state, number);
  // The log first: an acceptance that is recorded in the state is always in the log.
  append_line(folder, audit_line);
  write_atomically(folder, kStateFile, as_bytes(state_json(state)), 0600);
}

}  // namespace gf
