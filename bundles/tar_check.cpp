// The payload as a tar: our own framing exactly, and read a second time by libarchive.
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>

#include "bundles/header.h"
#include "bundles/layout.h"
#include "bundles/payload.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"

namespace gf {
namespace {

constexpr size_t kTarBlock = 512;

std::string member_kind(char type) {
  switch (type) {
    case '1': return "a hard link";
    case '2': return "a symbolic link";
    case '3':
    case '4': return "a device";
    case '5': return "a folder";
    case '6': return "a FIFO";
    case 'g': return "a global pax header";
    case 'S': return "a sparse file";
    case 'x': return "a pax header";
    case '0':
    case '\0': return "a regular file";
    default: return "a member of type " + printable(std::string_view(&type, 1));
  }
}

struct Field {
  size_t end;
  std::string_view name;
};
// POSIX.1-2001, ustar header block.
constexpr Field kFields[] = {{100, "name"},       {108, "mode"},  {116, "owner"},       {124, "group"},
                             {136, "size"},       {148, "time"},  {156, "checksum"},    {157, "type"},
                             {257, "link name"},  {265, "magic"}, {329, "owner names"}, {345, "device numbers"},
                             {512, "name prefix"}};

// What is different, for the administrator; the decision has already been made. A checksum always
// differs together with another field, which is the one to name.
std::string difference(const std::string& expected, std::string_view found, size_t header_at, std::string_view what) {
  for (size_t i = 0; i < kTarBlock; ++i) {
    const size_t at = header_at + i;
    if (at >= expected.size() || at >= found.size() || expected[at] == found[at]) continue;
    const Field* field =
        std::find_if(std::begin(kFields), std::end(kFields), [i](const Field& f) { return i < f.end; });
    if (field->name == "checksum") continue;
    if (field->name == "type") return std::string(what) + " is " + member_kind(found[at]);
    return std::string(what) + " has another " + std::string(field->name);
  }
  return "";
}

void check_framing(const Manifest& manifest, size_t index, std::string_view found) {
  const Framing expected = framing_before(manifest, index);
  if (expected.bytes == found) return;
  const bool at_end = index == manifest.files.size();
  const std::string where = at_end ? "after the last member" : "in front of " + manifest.files[index].name;
  std::string why = "its end is not zeros: an extra member or a second archive";
  if (!at_end) {
    const size_t pax_at = static_cast<size_t>(rounded_up(expected.offset, kTarBlock) - expected.offset);
    why = difference(expected.bytes, found, pax_at, "the extended header");
    if (why.empty()) why = difference(expected.bytes, found, expected.bytes.size() - kTarBlock, "the member");
    if (why.empty()) why = "the extended header's records (path, size, attributes) or padding differ";
  }
  throw Error(Code::corrupt, "step 8 (tar): ", where, ": the framing is not what the manifest implies: ", why);
}

// libarchive's view of the payload: framing from verified chunks, files skipped.
struct VerifiedStream {
  const PayloadReader& reader;
  Worker worker;
  uint64_t at = 0;
  uint64_t size = 0;
  std::exception_ptr failure;

  la_ssize_t read(const void** bytes) {
    if (at >= size) return 0;
    const auto& chunks = reader.map().chunks;
    const auto after = std::upper_bound(chunks.begin(), chunks.end(), at,
                                        [](uint64_t offset, const Chunk& chunk) { return offset < chunk.offset; });
    const auto index = static_cast<size_t>(after - chunks.begin()) - 1;
    const auto part = reader.read(index, worker).subspan(static_cast<size_t>(at - chunks[index].offset));
    *bytes = part.data();
    at += part.size();
    return static_cast<la_ssize_t>(part.size());
  }
};

la_ssize_t read_callback(archive* reader, void* data, const void** bytes) {
  auto* stream = static_cast<VerifiedStream*>(data);
  try {
    return stream->read(bytes);
  } catch (...) {  // an exception must not pass through C
    stream->failure = std::current_exception();
    archive_set_error(reader, ARCHIVE_FATAL, "unverified bytes");
    return ARCHIVE_FATAL;
  }
}

la_int64_t skip_callback(archive*, void* data, la_int64_t request) {
  auto* stream = static_cast<VerifiedStream*>(data);
  const uint64_t step = std::min(static_cast<uint64_t>(std::max<la_int64_t>(request, 0)), stream->size - stream->at);
  stream->at += step;
  return static_cast<la_int64_t>(step);
}

Error not_as_listed(const FileEntry& file, std::string_view what) {
  return Error(Code::corrupt, "step 8 (tar): member ", file.name, ": ", what,
               " differs from the manifest (mix-and-match attack)");
}

void check_member(archive* reader, archive_entry* entry, const FileEntry& file) {
  const char* name = archive_entry_pathname(entry);
  if (name == nullptr || file.name != name) throw not_as_listed(file, "its name");
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr ||
      archive_entry_symlink(entry) != nullptr)
    throw not_as_listed(file, "its type");
  if (archive_entry_size(entry) != static_cast<la_int64_t>(file.size)) throw not_as_listed(file, "its size");
  if (archive_entry_perm(entry) != 0644 || archive_entry_uid(entry) != 0 || archive_entry_gid(entry) != 0)
    throw not_as_listed(file, "its mode or owner");
  if (archive_entry_xattr_count(entry) != 0 || archive_entry_sparse_count(entry) != 0 ||
      archive_entry_acl_types(entry) != 0)
    throw not_as_listed(file, "an attribute");
  if (archive_filter_bytes(reader, 0) != static_cast<la_int64_t>(file.offset)) throw not_as_listed(file, "its place");
}

}  // namespace

void check_tar(const Bundle& bundle) {
  const PayloadReader payload(bundle);
  const Manifest& manifest = bundle.manifest();
  const ChunkMap& map = payload.map();
  VerifiedStream stream{payload, Worker(), 0, manifest.payload_size, nullptr};
  for (size_t i = 0; i <= manifest.files.size(); ++i) {
    const size_t framing = i < manifest.files.size() ? map.of_file[i].first - 1 : map.chunks.size() - 1;
    check_framing(manifest, i, as_text(payload.read(framing, stream.worker)));
  }

  // From here on libarchive reads what we have just found to be our own framing; it is asked so that
  // an auditor's tar is known to see the same members.
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(reader.get());
  archive_read_set_read_callback(reader.get(), read_callback);
  archive_read_set_skip_callback(reader.get(), skip_callback);
  archive_read_set_callback_data(reader.get(), &stream);
  const auto check = [&](int result, int expected) {
    if (stream.failure != nullptr) std::rethrow_exception(stream.failure);
    if (result == expected) return;
    const char* reason = archive_error_string(reader.get());
    throw Error(Code::corrupt, "step 8 (tar): ", reason == nullptr ? "missing or extra members" : printable(reason));
  };
  check(archive_read_open1(reader.get()), ARCHIVE_OK);
  archive_entry* entry = nullptr;
  for (const FileEntry& file : manifest.files) {
    check(archive_read_next_header(reader.get(), &entry), ARCHIVE_OK);
    check_member(reader.get(), entry, file);
    check(archive_read_data_skip(reader.get()), ARCHIVE_OK);
  }
  check(archive_read_next_header(reader.get(), &entry), ARCHIVE_EOF);
}

}  // namespace gf
