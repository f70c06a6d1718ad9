// What a Bundle holds. Included by bundle.cpp and payload.cpp only.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bundles/bundle.h"
#include "bundles/header.h"
#include "bundles/layout.h"

namespace gf {

// Chunks that read() has verified, kept for the next read. A reader takes one out while it copies
// from it, so that two threads never share a buffer.
class ChunkCache {
 public:
  struct Entry {
    size_t chunk = SIZE_MAX;
    std::vector<std::byte> bytes;
  };
  ChunkCache();
  // The entry that holds `chunk`, else the one unused longest, else a new one.
  std::unique_ptr<Entry> take(size_t chunk);
  void give_back(std::unique_ptr<Entry> entry);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Entry>> entries_;  // used longest ago first
  size_t most_;
};

struct Bundle::State {
  std::filesystem::path path;
  Fd file;
  Header header;
  std::string manifest_bytes;
  std::vector<std::vector<std::byte>> signatures;
  Manifest manifest;
  Digest digest;
  std::vector<SignerIdentity> signers;
  ChunkMap map;
  std::vector<Digest> table;
  std::map<std::string, size_t, std::less<>> index_of;  // name -> place in manifest.files
  mutable ChunkCache cache;
};

}  // namespace gf
