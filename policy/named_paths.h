// Which paths a text names. A script may change what the rule or its vetted fix names without any
// word of the policy; anything else is an "unnamed path" and needs a grant.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

// Absolute paths that a shell script or a rule's description names, sorted, without duplicates.
// Understands quotes, simple shell variables (DIR="/etc/x"; "$DIR/y"), trailing punctuation, and
// the files that well-known commands write (chage: /etc/shadow ...; the table is in POLICY.md).
// Forms of the result:
//   /etc/x        that file; or, where it is a folder, itself and what it holds directly
//   /etc/x/*.cnf  a glob; '*' and '?' do not cross '/'
//   /etc/x/**     the folder and everything below (chmod -R, chown -R, find, rm -r ...)
std::vector<std::string> paths_named_in(std::string_view text);

// True if `path` is named: itself; by its folder; by a recursive folder above it; by a glob; as the
// backup or temporary sibling of a named file (x.bak, x~, x-, x.rpmsave, .x.swp, sedXXXXXX ...).
// "/", /etc, /usr, /var, /home, /root, /boot, /opt ... name nothing below themselves.
// /bin, /sbin, /lib and /lib64 are the same as those below /usr.
bool is_named(std::string_view path, std::span<const std::string> named_paths);

// A named path (or its folder) needs this folder to exist: "/etc/a" for "/etc/a/b/c".
bool is_parent_of_named(std::string_view folder, std::span<const std::string> named_paths);

// One spelling for each place: no double or last slash, no "." component, /usr before bin, sbin, lib and
// lib64, /run for /var/run.
std::string canonical_path(std::string_view path);

// Shell-like match of a whole path: '*' and '?' within a component, "**" over components.
bool matches_glob(std::string_view glob, std::string_view path);

}  // namespace gf
