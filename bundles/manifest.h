// The signed manifest: which files a bundle holds, for whom, and until when. Canonical JSON; parsed
// only after its signatures are verified. FORMAT.md, "Manifest".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bundles/kinds.h"
#include "kernels/base/digest.h"
#include "kernels/base/text.h"

namespace gf {

struct FileEntry {
  std::string name;     // "model/config.json": relative, no "." or "..", a narrow set of ASCII
  uint64_t size = 0;    // bytes
  uint64_t offset = 0;  // of its first byte in the payload, a multiple of 4096
  Kind kind = Kind::other;
  Digest sha384;    // of the plain bytes, as sha384sum prints it
  Digest identity;  // SHA-384 over the digests of its chunks; not in the JSON, computed from the verified table
};

struct Manifest {
  std::string stream;  // versions are compared within a stream
  uint64_t version = 0;
  Time created;
  Time expires;
  std::vector<std::string> hosts;  // lower case, sorted; empty: any host
  std::vector<FileEntry> files;    // in the order of the payload
  uint64_t payload_size = 0;
  Digest table_sha384;  // of the chunk table's bytes
};

// Step 5. Throws Code::corrupt naming what is wrong. Identities are left zero.
Manifest parse_manifest(std::string_view json);
// The one form that parse_manifest accepts.
std::string manifest_json(const Manifest& manifest);

// Throws Code::corrupt: an empty, absolute, dotted, too long or oddly spelled name.
void check_name(std::string_view name, std::string_view what);
void check_stream(std::string_view stream, std::string_view what);
// Throws Code::corrupt if two names are equal after ASCII case folding, or one is a folder of another.
void check_names_differ(const std::vector<FileEntry>& files);

}  // namespace gf
