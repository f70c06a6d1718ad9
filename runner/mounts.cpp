// Reading mountinfo, and which file systems can be tried.
#include "runner/mounts.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "runner/safe_path.h"

namespace gf {
namespace {

// Local file systems that overlayfs takes as a lower layer and that know owners and attributes.
constexpr std::array<std::string_view, 8> kLocal = {"ext2",  "ext3", "ext4",  "xfs",
                                                    "btrfs", "f2fs", "tmpfs", "bcachefs"};
constexpr std::array<std::string_view, 20> kKernel = {"proc",     "sysfs",      "devtmpfs",    "devpts",  "cgroup",
                                                      "cgroup2",  "securityfs", "selinuxfs",   "debugfs", "tracefs",
                                                      "configfs", "pstore",     "efivarfs",    "bpf",     "mqueue",
                                                      "autofs",   "hugetlbfs",  "binfmt_misc", "fusectl", "rpc_pipefs"};

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const size_t space = std::min(line.find(' '), line.size());
    if (space > 0) fields.push_back(line.substr(0, space));
    line.remove_prefix(std::min(space + 1, line.size()));
  }
  return fields;
}

// "\040" is a space.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 3 < text.size()) {
      int value = 0;
      std::from_chars(text.data() + at + 1, text.data() + at + 4, value, 8);
      plain += static_cast<char>(value);
      at += 3;
    } else {
      plain += text[at];
    }
  }
  return plain;
}

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const size_t comma = std::min(options.find(','), options.size());
    if (options.substr(0, comma) == wanted) return true;
    options.remove_prefix(std::min(comma + 1, options.size()));
  }
  return false;
}

MountEntry parse_line(std::string_view line) {
  const auto fields = fields_of(line);
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  MountEntry entry;
  const bool well_formed =
      fields.size() >= 9 && dash != fields.end() && fields.end() - dash >= 4 && dash - fields.begin() >= 6 &&
      std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), entry.id).ec == std::errc{};
  if (!well_formed) throw Error(Code::io, "mountinfo: a line is not as documented: ", printable(line));
  entry.point = unescaped(fields[4]);
  entry.type = std::string(dash[1]);
  entry.read_only = has_option(fields[5], "ro") || has_option(dash[3], "ro");
  entry.nodev = has_option(fields[5], "nodev");
  entry.nosuid = has_option(fields[5], "nosuid");
  entry.noexec = has_option(fields[5], "noexec");
  return entry;
}

bool is_one_of(std::string_view type, auto const& list) {
  return std::find(list.begin(), list.end(), type) != list.end();
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) entries.push_back(parse_line(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return entries;
}

Shown how_to_show(const MountEntry& entry) {
  if (is_one_of(entry.type, kKernel)) return Shown::hidden;
  return is_one_of(entry.type, kLocal) && !entry.read_only ? Shown::overlay : Shown::read_only;
}

bool can_hold_target(const MountEntry& entry) { return is_one_of(entry.type, kLocal) || entry.type == "overlay"; }

std::vector<MountEntry> mounts_below(const std::vector<MountEntry>& all, std::string_view target) {
  std::vector<MountEntry> below;
  for (MountEntry entry : all) {
    if (entry.point == target || !is_within(entry.point, target)) continue;
    if (target != "/") entry.point.erase(0, target.size());
    const bool replaced = std::ranges::any_of(std::array{"/proc", "/sys", "/dev", "/run"},
                                              [&](const char* own) { return is_within(entry.point, own); });
    if (!replaced) below.push_back(std::move(entry));
  }
  return below;
}

}  // namespace gf
