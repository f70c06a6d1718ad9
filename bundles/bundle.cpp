// Opening a bundle, in the order of FORMAT.md, "Verification", and giving out its bytes.
#include "bundles/bundle.h"

#include <fcntl.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "bundles/bundle_state.h"
#include "bundles/limits.h"
#include "bundles/payload.h"
#include "bundles/state.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

// Reads a region with the zeros behind it and returns it without them.
std::vector<std::byte> read_region(const Fd& file, const Region& region, std::string_view what) {
  std::vector<std::byte> bytes(static_cast<size_t>(rounded_up(region.size)));
  pread_exactly(file, bytes, region.offset, what);
  const auto padding = bytes.begin() + static_cast<ptrdiff_t>(region.size);
  if (std::any_of(padding, bytes.end(), [](std::byte b) { return b != std::byte{0}; }))
    throw Error(Code::corrupt, "step 1 (header): a padding byte behind the ", what, " is not zero");
  bytes.resize(static_cast<size_t>(region.size));
  return bytes;
}

Header read_header(const Fd& file, const std::filesystem::path& path) {
  const struct stat status = stat_of(file, path.native());
  if (!S_ISREG(status.st_mode)) throw Error(Code::corrupt, "step 1 (header): not a regular file");
  const auto size = static_cast<uint64_t>(status.st_size);
  std::vector<std::byte> bytes(static_cast<size_t>(std::min<uint64_t>(size, kHeaderBytes)));
  pread_exactly(file, bytes, 0, path.native());
  return decode_header(bytes, size);
}

size_t distinct_keys(const std::vector<SignerIdentity>& signers) {
  std::set<Digest> keys;
  for (const SignerIdentity& signer : signers) keys.insert(signer.key);
  return keys.size();
}

// Steps 2 and 3 for one block, with the step in front of the reason.
SignerIdentity verify_one(std::span<const std::byte> block, std::span<const std::byte> manifest, const Trust& trust,
                          Time now, const std::string& which) {
  try {
    return cms_verify_detached(block, manifest, trust, now);
  } catch (const Error& error) {
    if (error.code() == Code::input || error.code() == Code::io) throw;
    const bool form = error.code() == Code::corrupt;
    throw Error(error.code(), form ? "step 2 (form), " : "step 3 (signature), ", which, ": ", error.message());
  }
}

// Step 4, as far as it can be told before the manifest is read: the parser sees nothing that fewer
// keys vouch for than the least demanding kind needs.
void check_least_threshold(const std::vector<SignerIdentity>& signers, const Trust& trust) {
  const size_t keys = distinct_keys(signers);
  const size_t least = *std::min_element(trust.threshold.begin(), trust.threshold.end());
  if (keys < least)
    throw Error(Code::not_trusted, "step 4 (threshold): signed by ", keys,
                " distinct keys, and every kind needs at least ", least, " (key compromise)");
}

void check_thresholds(const std::vector<SignerIdentity>& signers, const Manifest& manifest, const Trust& trust,
                      const Explain& explain) {
  std::set<Kind> kinds;
  for (const FileEntry& file : manifest.files) kinds.insert(file.kind);
  for (const Kind kind : kinds) {
    std::set<Digest> keys;
    for (const SignerIdentity& signer : signers)
      if (trust.counts_for(kind, signer.key)) keys.insert(signer.key);
    if (keys.size() < trust.required_for(kind))
      throw Error(Code::not_trusted, "step 4 (threshold): ", kind_name(kind), " needs signatures of ",
                  trust.required_for(kind), " distinct keys that count for it, found ", keys.size(),
                  " (key compromise)");
    if (explain)
      explain("4 threshold", std::string(kind_name(kind)) + ": " + std::to_string(keys.size()) + " distinct keys of " +
                                 std::to_string(trust.required_for(kind)) + " needed");
  }
}

void check_host(const Manifest& manifest, const Trust& trust) {
  if (manifest.hosts.empty()) return;
  for (const std::string& host : trust.hosts)
    if (std::find(manifest.hosts.begin(), manifest.hosts.end(), host) != manifest.hosts.end()) return;
  throw Error(Code::wrong_host, "step 6 (freshness): made for host ", manifest.hosts.front(),
              manifest.hosts.size() > 1 ? " and others" : "", ", and this host is ",
              trust.hosts.empty() ? "without a name" : trust.hosts.front(), " (wrong target attack)");
}

std::vector<Digest> read_table(const Fd& file, const Header& header, const Manifest& manifest) {
  const std::vector<std::byte> bytes = read_region(file, header.table, "chunk table");
  if (sha384(bytes) != manifest.table_sha384)
    throw Error(Code::corrupt, "step 7 (chunk table): its digest differs from the manifest's (mix-and-match attack)");
  std::vector<Digest> table(bytes.size() / Digest::kBytes);
  for (size_t i = 0; i < table.size(); ++i)
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(i * Digest::kBytes), Digest::kBytes, table[i].bytes.begin());
  return table;
}

void check_table_size(const Header& header, const Manifest& manifest) {
  const uint64_t expected = chunk_count(manifest) * Digest::kBytes;
  if (manifest.payload_size != header.payload.size)
    throw Error(Code::corrupt, "step 5 (manifest): manifest.payload_size is ", manifest.payload_size,
                ", the header's payload has ", header.payload.size, " bytes (mix-and-match attack)");
  if (header.table.size != expected)
    throw Error(Code::corrupt, "step 5 (manifest): its files need a chunk table of ", expected,
                " bytes, the header's has ", header.table.size);
}

void set_identities(Manifest& manifest, const ChunkMap& map, const std::vector<Digest>& table) {
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    Sha384 hash;
    for (size_t chunk = map.of_file[i].first; chunk < map.of_file[i].second; ++chunk) hash.update(table[chunk].bytes);
    manifest.files[i].identity = hash.finish();
  }
}

}  // namespace

// At most 128 MiB of chunks, however many cores there are.
ChunkCache::ChunkCache() : most_(std::clamp(2 * std::thread::hardware_concurrency(), 4U, 32U)) {}

std::unique_ptr<ChunkCache::Entry> ChunkCache::take(size_t chunk) {
  const std::lock_guard lock(mutex_);
  auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->chunk == chunk; });
  if (found == entries_.end()) {
    if (entries_.size() < most_) return std::make_unique<Entry>();
    found = entries_.begin();
  }
  std::unique_ptr<Entry> entry = std::move(*found);
  entries_.erase(found);
  return entry;
}

void ChunkCache::give_back(std::unique_ptr<Entry> entry) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() < most_) entries_.push_back(std::move(entry));
}

Bundle::Bundle(std::shared_ptr<const State> state) : state_(std::move(state)) {}

Bundle Bundle::open(const std::filesystem::path& path, const Trust& trust, Time now, const Explain& explain) {
  const auto passed = [&explain](std::string_view step, const std::string& found) {
    if (explain) explain(step, found);
  };
  return with_context("while opening the bundle " + path.native(), [&] {
    auto state = std::make_shared<State>();
    state->path = path;
    // Not blocking: a FIFO in place of the file must not hold us up.
    state->file = open_file(path, O_RDONLY | O_NONBLOCK);
    state->header = read_header(state->file, path);
    const std::vector<std::byte> manifest = read_region(state->file, state->header.manifest, "manifest");
    for (const Region& region : state->header.signatures)
      state->signatures.push_back(read_region(state->file, region, "signature"));
    const size_t count = state->signatures.size();
    const AcceptanceState accepted = read_state(trust.state);  // a damaged one is no fault of the bundle
    passed("1 header", std::to_string(state->header.file_size) + " bytes in regions without gap or overlap, " +
                           std::to_string(count) + " signatures");
    if (count == 0)
      throw Error(Code::not_trusted,
                  "step 2 (form): not signed: sign it with gf-bundle sign (arbitrary install attack)");

    for (size_t i = 0; i < count; ++i) {
      const std::string which = "signature " + std::to_string(i + 1) + " of " + std::to_string(count);
      state->signers.push_back(verify_one(state->signatures[i], manifest, trust, now, which));
      passed("2 form", which + ": the one accepted DER encoding");
      passed("3 signature",
             which + ": " + state->signers.back().subject + ", key " + state->signers.back().key.hex() +
                 ", path to an anchor in date" +
                 (state->signers.back().crl_numbers.empty() ? ", no revocation list consulted" : ", not revoked"));
    }
    check_least_threshold(state->signers, trust);

    state->manifest_bytes = as_text(manifest);
    state->digest = sha384(manifest);
    state->manifest = parse_manifest(state->manifest_bytes);
    check_thresholds(state->signers, state->manifest, trust, explain);
    check_table_size(state->header, state->manifest);
    passed("5 manifest", "stream " + state->manifest.stream + " version " + std::to_string(state->manifest.version) +
                             ", " + std::to_string(state->manifest.files.size()) + " files, digest " +
                             state->digest.hex());

    check_freshness(accepted, state->manifest, state->digest, trust, now);
    check_host(state->manifest, trust);
    passed("6 freshness", "expires " + format_time(state->manifest.expires) + ", not older than what was accepted, " +
                              (state->manifest.hosts.empty() ? "for any host" : "for this host"));

    state->table = read_table(state->file, state->header, state->manifest);
    state->map = cut_into_chunks(state->manifest);
    set_identities(state->manifest, state->map, state->table);
    for (size_t i = 0; i < state->manifest.files.size(); ++i) state->index_of.emplace(state->manifest.files[i].name, i);
    passed("7 chunk table", std::to_string(state->table.size()) + " chunks, digest as the manifest states");
    return Bundle(std::move(state));
  });
}

const Manifest& Bundle::manifest() const { return state_->manifest; }
const Digest& Bundle::digest() const { return state_->digest; }
const std::vector<SignerIdentity>& Bundle::signers() const { return state_->signers; }
const std::filesystem::path& Bundle::path() const { return state_->path; }
std::string_view Bundle::manifest_bytes() const { return state_->manifest_bytes; }
const std::vector<std::vector<std::byte>>& Bundle::signatures() const { return state_->signatures; }

const FileEntry* Bundle::find(std::string_view name) const {
  const auto place = state_->index_of.find(name);
  return place == state_->index_of.end() ? nullptr : &state_->manifest.files[place->second];
}

Fd Bundle::content(std::string_view name) const {
  const FileEntry* file = find(name);
  if (file == nullptr)
    throw Error(Code::input, "bundle ", state_->path.native(), " has no file \"", printable(shortened(name, 120)),
                "\"");
  if (file->kind == Kind::weights || file->size > kMaxContentBytes)
    throw Error(Code::input, "file ", file->name, " of kind ", kind_name(file->kind), " with ", file->size,
                " bytes cannot be held in sealed memory: the limit is ", kMaxContentBytes,
                " bytes, and weights are read in pieces");
  std::vector<std::byte> bytes(static_cast<size_t>(file->size));
  read(*file, 0, bytes);
  return sealed_memory(file->name.substr(file->name.rfind('/') + 1), bytes);
}

void Bundle::read(std::string_view name, uint64_t offset, std::span<std::byte> out) const {
  const FileEntry* file = find(name);
  if (file == nullptr)
    throw Error(Code::input, "bundle ", state_->path.native(), " has no file \"", printable(shortened(name, 120)),
                "\"");
  read(*file, offset, out);
}

void Bundle::read(const FileEntry& file, uint64_t offset, std::span<std::byte> out) const {
  const auto place = state_->index_of.find(file.name);
  if (place == state_->index_of.end() || offset > file.size || out.size() > file.size - offset)
    throw Error(Code::input, "bytes ", offset, " to ", offset + out.size(), " of ", file.name,
                " were asked for, and it has ", file.size);
  const PayloadReader reader(*this);
  const size_t first = state_->map.of_file[place->second].first;
  try {
    for (size_t done = 0; done < out.size();) {
      const size_t chunk = first + static_cast<size_t>((offset + done) / kChunkBytes);
      const auto skip = static_cast<size_t>((offset + done) % kChunkBytes);
      const auto size = static_cast<size_t>(state_->map.chunks[chunk].size);
      const std::span<std::byte> part = out.subspan(done, std::min(out.size() - done, size - skip));
      const uint64_t at = state_->header.payload.offset + state_->map.chunks[chunk].offset;
      if (part.size() == size) {  // a whole chunk: no copy, it is checked where it will be used
        pread_exactly(state_->file, part, at, file.name);
        reader.check(chunk, sha384(part));
      } else {
        std::unique_ptr<ChunkCache::Entry> entry = state_->cache.take(chunk);
        if (entry->chunk != chunk) {
          entry->chunk = SIZE_MAX;  // until it is checked
          entry->bytes.resize(size);
          pread_exactly(state_->file, entry->bytes, at, file.name);
          reader.check(chunk, sha384(entry->bytes));
          entry->chunk = chunk;
        }
        std::copy_n(entry->bytes.begin() + static_cast<ptrdiff_t>(skip), part.size(), part.begin());
        state_->cache.give_back(std::move(entry));
      }
      done += part.size();
    }
  } catch (...) {
    std::fill(out.begin(), out.end(), std::byte{0});
    throw;
  }
}

void accept(const Bundle& bundle, const Trust& trust, Time now) {
  const Manifest& manifest = bundle.manifest();
  nlohmann::json signers = nlohmann::json::array();
  std::vector<CrlNumber> numbers;
  for (const SignerIdentity& signer : bundle.signers()) {
    signers.push_back({{"subject", signer.subject}, {"key", signer.key.hex()}});
    numbers.insert(numbers.end(), signer.crl_numbers.begin(), signer.crl_numbers.end());
  }
  const std::string line = canonical_json({{"event", "accept"},
                                           {"time", format_time(now)},
                                           {"stream", manifest.stream},
                                           {"version", manifest.version},
                                           {"bundle", bundle.digest().hex()},
                                           {"signers", std::move(signers)}});
  with_context("while recording that " + bundle.path().native() + " was accepted",
               [&] { record_acceptance(manifest, bundle.digest(), numbers, trust, now, line); });
}

}  // namespace gf
