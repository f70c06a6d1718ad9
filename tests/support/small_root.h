// A directory tree in which shell scripts run: bash, the common tools and their libraries, copied from
// this machine; and an /etc that the nine rules of tests/data/job look at.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace gf::test {

void make_small_root(const std::filesystem::path& root);

// Every entry of a tree as "type mode owner size-or-target digest", by path: equal trees give equal maps.
// Times are left out.
std::map<std::string, std::string> snapshot(const std::filesystem::path& root);

}  // namespace gf::test
