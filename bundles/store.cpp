// The content-addressed store: staging, publishing, and reading back.
#include "bundles/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <nlohmann/json.hpp>

#include "bundles/limits.h"
#include "bundles/payload.h"
#include "bundles/staged_file.h"
#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

constexpr const char* kFiles = "files";
constexpr const char* kBundles = "bundles";
constexpr const char* kIncoming = "incoming";
constexpr const char* kLock = "lock";
constexpr uint64_t kMaxRecordBytes = 16U << 20;

std::string record_json(const StoredFile& file) {
  nlohmann::json kinds = nlohmann::json::array();
  for (const Kind kind : file.kinds) kinds.push_back(std::string(kind_name(kind)));
  return canonical_json({{"identity", file.identity.hex()},
                         {"sha384", file.sha384.hex()},
                         {"size", file.size},
                         {"kinds", std::move(kinds)}}) +
         "\n";
}

StoredFile parse_record(std::string_view text, const std::string& name) {
  const nlohmann::json json = parse_json(text, name, {.depth = 2, .floats_allowed = false});
  JsonObject object(json, name);
  StoredFile file;
  file.identity = Digest::from_hex(object.string("identity"), name + ".identity");
  file.sha384 = Digest::from_hex(object.string("sha384"), name + ".sha384");
  file.size = static_cast<uint64_t>(object.integer("size", 0, static_cast<int64_t>(kMaxPayloadBytes)));
  for (const std::string& kind : object.strings("kinds")) {
    const std::optional<Kind> known = kind_named(kind);
    if (!known) throw Error(Code::corrupt, name, ": unknown kind \"", printable(kind), "\"");
    file.kinds.push_back(*known);
  }
  object.finish();
  return file;
}

Fd folder_in(const Fd& root, const char* name) {
  return open_in_root_without_links(root, name, O_RDONLY | O_DIRECTORY);
}

void make_folder_in(const Fd& root, const char* name, mode_t mode) {
  if (::mkdirat(root.get(), name, mode) != 0 && errno != EEXIST)
    throw system_error(errno, std::string("cannot create the store's folder ") + name);
}

std::string staged_name(size_t index) { return std::string(kIncoming) + "/" + std::to_string(index); }

// What an interrupted unpack left; nothing else is ever written there.
void clear_incoming(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder / kIncoming, error))
    std::filesystem::remove(entry.path(), error);
  if (error) throw Error(Code::io, "cannot clear ", (folder / kIncoming).native(), ": ", error.message());
}

// One unpack: writes into incoming, and removes from there what was not published.
class Unpacking {
 public:
  Unpacking(const std::filesystem::path& folder, const Fd& root, const Bundle& bundle, const Progress& progress)
      : folder_(folder),
        root_(root),
        reader_(bundle),
        manifest_(bundle.manifest()),
        meter_(progress, bundle.manifest().payload_size) {
    result_.files.resize(manifest_.files.size());
    clear_incoming(folder_);
  }
  ~Unpacking() {
    for (size_t i = 0; i < manifest_.files.size(); ++i) ::unlinkat(root_.get(), staged_name(i).c_str(), 0);
  }
  Unpacking(const Unpacking&) = delete;
  Unpacking& operator=(const Unpacking&) = delete;

  void stage_all() {
    const size_t files = manifest_.files.size();
    for_each_in_parallel(files + 1, [&](size_t item, Worker& worker) {
      const size_t framing = item < files ? reader_.map().of_file[item].first - 1 : reader_.map().chunks.size() - 1;
      verified(framing, worker);
      if (item < files) stage(item, worker);
    });
  }

  UnpackResult publish() {
    const Fd files = folder_in(root_, kFiles);
    for (size_t i = 0; i < manifest_.files.size(); ++i) {
      const std::string name = manifest_.files[i].identity.hex();
      StoredFile& entry = result_.files[i];
      if (!is_present_[i] && ::renameat(root_.get(), staged_name(i).c_str(), files.get(), name.c_str()) != 0)
        throw system_error(errno, "cannot put " + manifest_.files[i].name + " into the store");
      entry = {manifest_.files[i].identity, manifest_.files[i].sha384, manifest_.files[i].size, {}};
    }
    sync_file(files, "the store's files folder");
    for (size_t i = 0; i < manifest_.files.size(); ++i) add_record(files, i);
    return std::move(result_);
  }

  void find_present() {
    is_present_.resize(manifest_.files.size(), false);
    const Fd files = folder_in(root_, kFiles);
    for (size_t i = 0; i < manifest_.files.size(); ++i) is_present_[i] = old_record(files, i).has_value();
  }

 private:
  // The record of an entry that is whole; an entry without a record, or of another size, does not count.
  std::optional<StoredFile> old_record(const Fd& files, size_t index) const {
    const FileEntry& file = manifest_.files[index];
    const std::string name = file.identity.hex();
    const Fd bytes = try_open_in_root(files, name, O_RDONLY | O_NONBLOCK, 0, false);
    const Fd record = try_open_in_root(files, name + ".json", O_RDONLY, 0, false);
    if (!bytes || !record) return std::nullopt;
    StoredFile entry = parse_record(as_text(read_file(record, kMaxRecordBytes, name)), name + ".json");
    if (static_cast<uint64_t>(stat_of(bytes, name).st_size) != file.size || entry.sha384 != file.sha384)
      return std::nullopt;
    return entry;
  }

  void add_record(const Fd& files, size_t index) {
    StoredFile& entry = result_.files[index];
    if (const std::optional<StoredFile> old = old_record(files, index)) entry.kinds = old->kinds;
    const Kind kind = manifest_.files[index].kind;
    const bool is_known = std::find(entry.kinds.begin(), entry.kinds.end(), kind) != entry.kinds.end();
    if (is_known && is_present_[index]) return;
    if (!is_known) entry.kinds.push_back(kind);
    std::sort(entry.kinds.begin(), entry.kinds.end());
    write_atomically(files, entry.identity.hex() + ".json", as_bytes(record_json(entry)), 0644);
  }

  void verified(size_t chunk, Worker& worker) {
    reader_.verify(chunk, worker, PlainDigests::skip);
    meter_.add(reader_.map().chunks[chunk].size);
  }

  void count(uint64_t UnpackResult::*which, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    result_.*which += bytes;
  }

  void stage(size_t index, Worker& worker) {
    const FileEntry& file = manifest_.files[index];
    const auto [first, end] = reader_.map().of_file[index];
    if (is_present_[index]) {
      for (size_t chunk = first; chunk < end; ++chunk) {
        reader_.verify(chunk, worker, PlainDigests::check);
        meter_.add(reader_.map().chunks[chunk].size);
      }
      reader_.check_plain(index, worker.plain_hash.finish());
      return count(&UnpackResult::bytes_present, file.size);
    }
    const Fd out = open_in_root_without_links(root_, staged_name(index), O_RDWR | O_CREAT | O_EXCL, 0600);
    const uint64_t whole_blocks = file.size / kBlockBytes * kBlockBytes;
    const bool shared = share_range(reader_.file(), reader_.payload_offset() + file.offset, out, 0, whole_blocks);
    if (shared) {
      copy_range(reader_.file(), reader_.payload_offset() + file.offset + whole_blocks, out, whole_blocks,
                 file.size - whole_blocks, file.name);
      hash_shared(out, index, worker);
    } else {
      copy_and_hash(out, index, worker);
    }
    reader_.check_plain(index, worker.plain_hash.finish());
    if (::fchmod(out.get(), 0444) != 0) throw system_error(errno, "cannot set the mode of " + file.name);
    sync_file(out, file.name);
    count(shared ? &UnpackResult::bytes_shared : &UnpackResult::bytes_copied, file.size);
  }

  // The clone is what will be used, so the clone is what is hashed: the bundle may change meanwhile.
  void hash_shared(const Fd& out, size_t index, Worker& worker) {
    const FileEntry& file = manifest_.files[index];
    const auto [first, end] = reader_.map().of_file[index];
    for (size_t chunk = first; chunk < end; ++chunk) {
      const Chunk& place = reader_.map().chunks[chunk];
      const auto bytes = worker.room(place.size);
      pread_exactly(out, bytes, place.offset - file.offset, file.name);
      reader_.check(chunk, worker.chunk_hash.update(bytes).finish());
      worker.plain_hash.update(bytes);
      meter_.add(place.size);
    }
  }

  void copy_and_hash(const Fd& out, size_t index, Worker& worker) {
    const FileEntry& file = manifest_.files[index];
    const auto [first, end] = reader_.map().of_file[index];
    for (size_t chunk = first; chunk < end; ++chunk) {
      const std::span<const std::byte> bytes = reader_.read(chunk, worker);
      worker.plain_hash.update(bytes);
      write_all(out, bytes, "the store's copy of " + file.name);
      meter_.add(bytes.size());
    }
  }

  const std::filesystem::path& folder_;
  const Fd& root_;
  PayloadReader reader_;
  const Manifest& manifest_;
  ProgressMeter meter_;
  std::mutex mutex_;
  UnpackResult result_;
  std::vector<char> is_present_;  // not vector<bool>: read by several threads
};

void check_root_alone_can_write(const struct stat& status, const std::string& what, bool sticky_allowed) {
  const bool sticky = sticky_allowed && (status.st_mode & S_ISVTX) != 0;
  if (status.st_uid != 0 || ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky))
    throw Error(Code::forbidden, what,
                " can be written by others than root: it may not be mapped (chown root, chmod go-w)");
}

}  // namespace

Store::Store(std::filesystem::path folder, Fd root) : path_(std::move(folder)), root_(std::move(root)) {}

Store Store::create_or_open(const std::filesystem::path& folder) {
  make_folders(folder, 0755);
  Store store = open(folder);
  make_folder_in(store.root_, kFiles, 0755);
  make_folder_in(store.root_, kBundles, 0755);
  make_folder_in(store.root_, kIncoming, 0700);
  sync_file(store.root_, folder.native());
  return store;
}

Store Store::open(const std::filesystem::path& folder) {
  return Store(std::filesystem::absolute(folder), open_directory(folder));
}

UnpackResult Store::unpack(const Bundle& bundle, const Progress& progress) const {
  return with_context("while unpacking " + bundle.path().native() + " to " + path_.native(), [&] {
    const Fd lock = open_in_root_without_links(root_, kLock, O_RDWR | O_CREAT, 0600);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
      throw Error(Code::locked, "another unpack holds the store ", path_.native(), ": wait until it ends");
    Unpacking unpacking(path_, root_, bundle, progress);
    unpacking.find_present();
    unpacking.stage_all();
    check_tar(bundle);
    UnpackResult result = unpacking.publish();
    nlohmann::json names = nlohmann::json::object();
    for (const FileEntry& file : bundle.manifest().files) names[file.name] = file.identity.hex();
    const std::string index = canonical_json({{"stream", bundle.manifest().stream},
                                              {"version", bundle.manifest().version},
                                              {"files", std::move(names)}}) +
                              "\n";
    write_atomically(folder_in(root_, kBundles), bundle.digest().hex() + ".json", as_bytes(index), 0644);
    return result;
  });
}

StoredFile Store::entry(const Digest& identity) const {
  const std::string name = identity.hex();
  const Fd record = try_open_in_root(root_, std::string(kFiles) + "/" + name + ".json", O_RDONLY, 0, false);
  if (!record)
    throw Error(Code::input, "the store ", path_.native(), " has no entry ", name, ": unpack the bundle that holds it");
  return parse_record(as_text(read_file(record, kMaxRecordBytes, name)), name + ".json");
}

Fd Store::file(const Digest& identity, Kind kind) const {
  const StoredFile stored = entry(identity);
  if (std::find(stored.kinds.begin(), stored.kinds.end(), kind) == stored.kinds.end())
    throw Error(Code::forbidden, "the store's entry ", identity.hex(), " was not accepted as ", kind_name(kind));
  Fd bytes = open_in_root_without_links(root_, std::string(kFiles) + "/" + identity.hex(), O_RDONLY | O_NONBLOCK);
  const struct stat status = stat_of(bytes, identity.hex());
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != stored.size)
    throw Error(Code::corrupt, "the store's entry ", identity.hex(), " has ", status.st_size,
                " bytes, its record says ", stored.size, ": remove it and unpack again");
  return bytes;
}

Fd Store::mappable_file(const Digest& identity, Kind kind) const {
  Fd bytes = file(identity, kind);
  check_root_alone_can_write(stat_of(bytes, identity.hex()), "the store's file " + identity.hex(), false);
  check_root_alone_can_write(stat_of(folder_in(root_, kFiles), kFiles), "the store's files folder", false);
  check_root_alone_can_write(stat_of(root_, path_.native()), "the store " + path_.native(), false);
  for (std::filesystem::path above = std::filesystem::canonical(path_).parent_path();; above = above.parent_path()) {
    // In a folder like /tmp, others can add names but cannot take root's away.
    check_root_alone_can_write(stat_of(open_directory(above), above.native()), above.native(), true);
    if (above == above.parent_path()) return bytes;
  }
}

std::map<std::string, Digest> Store::names_of(const Digest& bundle) const {
  const std::string name = bundle.hex() + ".json";
  const Fd index = try_open_in_root(root_, std::string(kBundles) + "/" + name, O_RDONLY, 0, false);
  if (!index) throw Error(Code::input, "bundle ", bundle.hex(), " was not unpacked to ", path_.native());
  const std::vector<std::byte> text = read_file(index, kMaxRecordBytes, name);
  const nlohmann::json json = parse_json(as_text(text), name, {.depth = 3, .floats_allowed = false});
  JsonObject object(json, name);
  object.string("stream");
  object.integer("version", 1, static_cast<int64_t>(kMaxVersion));
  JsonObject files = object.object("files");
  object.finish();
  std::map<std::string, Digest> names;
  for (const auto& [file, identity] : files.value().items())
    names.emplace(file, Digest::from_hex(files.string(file), name + "." + file));
  return names;
}

}  // namespace gf
