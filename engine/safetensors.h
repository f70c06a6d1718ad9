// Checkpoints in the safetensors format (github.com/huggingface/safetensors): 8 bytes of header
// length, a JSON header of {name: {dtype, shape, data_offsets}}, then the data. Several files belong
// together through model.safetensors.index.json. Files are hostile until read: every error names the
// file and the tensor.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights.h"

namespace gf {

// Random reads of one file; a bundle's file or a file of a folder.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  [[nodiscard]] virtual uint64_t size() const = 0;
  // Exactly out.size() bytes, or an Error. May be called from several threads.
  virtual void read(uint64_t offset, std::span<std::byte> out) const = 0;
};

// The files of one checkpoint, by plain name ("config.json").
class CheckpointFiles {
 public:
  virtual ~CheckpointFiles() = default;
  [[nodiscard]] virtual std::vector<std::string> names() const = 0;
  [[nodiscard]] virtual std::unique_ptr<ByteSource> open(std::string_view name) const = 0;
};
// The regular files of a folder. Throws Code::io.
std::unique_ptr<CheckpointFiles> checkpoint_folder(const std::filesystem::path& folder);

struct SafetensorsEntry {
  TensorInfo info;
  uint64_t offset = 0;  // from the start of the file
};
// Refuses (Code::corrupt): a header beyond the file or above 100 MB, duplicate or unknown keys and
// dtypes, sizes that do not follow from the shape, overlaps, holes, bytes after the last tensor.
std::map<std::string, SafetensorsEntry, std::less<>> read_safetensors_header(const ByteSource& source,
                                                                             std::string_view file_name);

// model.safetensors, or model.safetensors.index.json with its shards. Refuses a missing shard, a name in
// two files, a name that the index puts elsewhere.
std::unique_ptr<WeightsSource> open_checkpoint(std::unique_ptr<CheckpointFiles> files);
inline std::unique_ptr<WeightsSource> open_checkpoint(const std::filesystem::path& folder) {
  return open_checkpoint(checkpoint_folder(folder));
}

}  // namespace gf
