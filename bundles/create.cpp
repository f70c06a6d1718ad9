// Writing bundles and adding signatures.
#include "bundles/create.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "bundles/certificates.h"
#include "bundles/cms.h"
#include "bundles/header.h"
#include "bundles/layout.h"
#include "bundles/limits.h"
#include "bundles/payload.h"
#include "bundles/signature_form.h"
#include "bundles/staged_file.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

std::vector<uint64_t> sizes_of(const std::vector<std::vector<std::byte>>& signatures) {
  std::vector<uint64_t> sizes;
  for (const auto& signature : signatures) sizes.push_back(signature.size());
  return sizes;
}

// Everything in front of the payload, at the places that `header` gives.
void write_front(const Fd& out, const Header& header, std::string_view manifest,
                 const std::vector<std::vector<std::byte>>& signatures, std::span<const std::byte> table) {
  pwrite_all(out, encode_header(header), 0, "the header");
  pwrite_all(out, as_bytes(manifest), header.manifest.offset, "the manifest");
  for (size_t i = 0; i < signatures.size(); ++i)
    pwrite_all(out, signatures[i], header.signatures[i].offset, "a signature");
  pwrite_all(out, table, header.table.offset, "the chunk table");
}

void set_length(const Fd& file, uint64_t size) {
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0)
    throw system_error(errno, "cannot set the bundle's length");
}

// Copies one source into its place, hashing it on the way.
void pack_file(const CreatePlan& plan, size_t index, const ChunkMap& map, const Fd& out, uint64_t payload_offset,
               Worker& worker, FileEntry& file, std::vector<Digest>& table, ProgressMeter& meter) {
  const std::string& name = plan.sources[index].native();
  const Fd source = open_file(plan.sources[index], O_RDONLY);
  const auto [first, end] = map.of_file[index];
  for (size_t chunk = first; chunk < end; ++chunk) {
    const Chunk& place = map.chunks[chunk];
    const std::span<std::byte> bytes = worker.room(place.size);
    pread_exactly(source, bytes, place.offset - file.offset, name);
    table[chunk] = worker.chunk_hash.update(bytes).finish();
    worker.plain_hash.update(bytes);
    pwrite_all(out, bytes, payload_offset + place.offset, "the bundle");
    meter.add(place.size);
  }
  file.sha384 = worker.plain_hash.finish();
  if (static_cast<uint64_t>(stat_of(source, name).st_size) != file.size)
    throw Error(Code::input, name, ": its size changed while it was packed: begin again when nothing writes to it");
}

std::vector<std::byte> table_bytes(const std::vector<Digest>& table) {
  std::vector<std::byte> bytes;
  bytes.reserve(table.size() * Digest::kBytes);
  for (const Digest& digest : table) bytes.insert(bytes.end(), digest.bytes.begin(), digest.bytes.end());
  return bytes;
}

std::vector<std::byte> read_padded(const Fd& file, const Region& region, std::string_view what) {
  std::vector<std::byte> bytes(static_cast<size_t>(region.size));
  pread_exactly(file, bytes, region.offset, what);
  return bytes;
}

}  // namespace

Digest create_bundle(const CreatePlan& plan, const std::filesystem::path& out, Existing existing,
                     const Progress& progress) {
  return with_context("while writing " + out.native(), [&] {
    Manifest manifest = plan.manifest;
    const ChunkMap map = cut_into_chunks(manifest);
    // Digests have a fixed length, so the manifest's size is known before they are.
    const Header header =
        Header::tiling(manifest_json(manifest).size(), {}, map.chunks.size() * Digest::kBytes, manifest.payload_size);
    StagedFile staged(out, existing);
    set_length(staged.file(), header.file_size);
    std::vector<Digest> table(map.chunks.size());
    for (size_t i = 0; i <= manifest.files.size(); ++i) {
      const Framing framing = framing_before(manifest, i);
      const size_t chunk = i < manifest.files.size() ? map.of_file[i].first - 1 : map.chunks.size() - 1;
      table[chunk] = sha384(framing.bytes);
      pwrite_all(staged.file(), as_bytes(framing.bytes), header.payload.offset + framing.offset, "the bundle");
    }
    uint64_t total = 0;
    for (const FileEntry& file : manifest.files) total += file.size;
    ProgressMeter meter(progress, total);
    for_each_in_parallel(manifest.files.size(), [&](size_t i, Worker& worker) {
      pack_file(plan, i, map, staged.file(), header.payload.offset, worker, manifest.files[i], table, meter);
    });
    const std::vector<std::byte> bytes = table_bytes(table);
    manifest.table_sha384 = sha384(bytes);
    const std::string json = manifest_json(manifest);
    if (json.size() != header.manifest.size)
      throw Error(Code::internal, "the manifest's size is not what was computed");
    write_front(staged.file(), header, json, {}, bytes);
    staged.commit(0644);
    return sha384(json);
  });
}

UnverifiedBundle read_unverified(const std::filesystem::path& path) {
  return with_context("while reading " + path.native(), [&] {
    UnverifiedBundle bundle;
    bundle.file = open_file(path, O_RDONLY | O_NONBLOCK);
    const struct stat status = stat_of(bundle.file, path.native());
    if (!S_ISREG(status.st_mode)) throw Error(Code::corrupt, "step 1 (header): not a regular file");
    const auto size = static_cast<uint64_t>(status.st_size);
    std::vector<std::byte> front(static_cast<size_t>(std::min<uint64_t>(size, kHeaderBytes)));
    pread_exactly(bundle.file, front, 0, path.native());
    const Header header = decode_header(front, size);
    bundle.payload_offset = header.payload.offset;
    bundle.manifest_bytes = as_text(read_padded(bundle.file, header.manifest, "the manifest"));
    for (const Region& region : header.signatures)
      bundle.signatures.push_back(read_padded(bundle.file, region, "a signature"));
    bundle.table = read_padded(bundle.file, header.table, "the chunk table");
    bundle.manifest = parse_manifest(bundle.manifest_bytes);
    if (bundle.manifest.payload_size != header.payload.size || sha384(bundle.table) != bundle.manifest.table_sha384 ||
        bundle.table.size() != chunk_count(bundle.manifest) * Digest::kBytes)
      throw Error(Code::corrupt, "step 7 (chunk table): it is not the one that the manifest names");
    return bundle;
  });
}

void sign_bundle(const std::filesystem::path& path, const std::filesystem::path& key_pem,
                 const std::filesystem::path& cert_pem, const std::vector<std::filesystem::path>& chain_pem) {
  UnverifiedBundle bundle = read_unverified(path);
  if (bundle.signatures.size() >= kMaxSignatures)
    throw Error(Code::input, path.native(), ": it has ", bundle.signatures.size(), " signatures, the most that fit");
  const Digest digest = sha384(bundle.manifest_bytes);
  const Digest own_key = key_digest(read_certificates(cert_pem).front().get());
  for (const auto& signature : bundle.signatures)
    if (key_digest(parse_signature(signature, digest).leaf.get()) == own_key)
      throw Error(Code::input, path.native(), ": the key of ", cert_pem.native(),
                  " has signed it already, and a key counts once");
  bundle.signatures.push_back(cms_sign_detached(as_bytes(bundle.manifest_bytes), key_pem, cert_pem, chain_pem));
  if (bundle.signatures.back().size() > kMaxSignatureBytes)
    throw Error(Code::input, "the signature has ", bundle.signatures.back().size(), " bytes, more than the limit of ",
                kMaxSignatureBytes, ": the chain is too long");

  with_context("while signing " + path.native(), [&] {
    const Header header = Header::tiling(bundle.manifest_bytes.size(), sizes_of(bundle.signatures), bundle.table.size(),
                                         bundle.manifest.payload_size);
    // Links are followed, so that the file itself is replaced and not the link.
    StagedFile staged(std::filesystem::canonical(path), Existing::replace);
    set_length(staged.file(), header.file_size);
    write_front(staged.file(), header, bundle.manifest_bytes, bundle.signatures, bundle.table);
    copy_range(bundle.file, bundle.payload_offset, staged.file(), header.payload.offset, header.payload.size,
               "the payload");
    staged.commit(stat_of(bundle.file, path.native()).st_mode & 07777);
  });
}

}  // namespace gf
