// A checkpoint of one or several safetensors files, and the folder that holds it.
#include <fcntl.h>

#include <nlohmann/json.hpp>
#include <set>

#include "engine/safetensors.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr uint64_t kMaxTextBytes = 256U << 20;  // a tokenizer.json has 32 MB

class FileBytes : public ByteSource {
 public:
  FileBytes(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {
    const struct stat status = stat_of(fd_, name_);
    if (!S_ISREG(status.st_mode)) throw Error(Code::input, name_, ": expected a regular file");
    size_ = static_cast<uint64_t>(status.st_size);
  }
  [[nodiscard]] uint64_t size() const override { return size_; }
  void read(uint64_t offset, std::span<std::byte> out) const override { pread_exactly(fd_, out, offset, name_); }

 private:
  Fd fd_;
  std::string name_;
  uint64_t size_ = 0;
};

class FolderFiles : public CheckpointFiles {
 public:
  explicit FolderFiles(const std::filesystem::path& folder) : folder_(folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
      if (entry.is_regular_file()) names_.push_back(entry.path().filename().native());
    if (error) throw system_error(error.value(), "cannot list " + folder.native());
  }
  [[nodiscard]] std::vector<std::string> names() const override { return names_; }
  [[nodiscard]] std::unique_ptr<ByteSource> open(std::string_view name) const override {
    const std::filesystem::path path = folder_ / name;
    return std::make_unique<FileBytes>(open_file(path, O_RDONLY), path.native());
  }

 private:
  std::filesystem::path folder_;
  std::vector<std::string> names_;
};

std::string read_text(const ByteSource& file, std::string_view name) {
  if (file.size() > kMaxTextBytes)
    throw Error(Code::input, name, ": ", file.size(), " bytes, the limit is ", kMaxTextBytes);
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

class Checkpoint : public WeightsSource {
 public:
  explicit Checkpoint(std::unique_ptr<CheckpointFiles> files) : files_(std::move(files)) {
    const auto listed = files_->names();
    names_.insert(listed.begin(), listed.end());
    if (names_.contains(kIndex)) {
      open_shards(parse_json(*text(kIndex), kIndex));
    } else if (names_.contains(kSingle)) {
      add_file(std::string(kSingle), nullptr);
    } else {
      throw Error(Code::input, "the checkpoint has neither ", kSingle, " nor ", kIndex);
    }
  }

  [[nodiscard]] std::optional<TensorInfo> find(std::string_view name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? std::nullopt : std::optional(found->second.entry.info);
  }

  void read(std::string_view name, RowRange rows, std::span<std::byte> out) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw Error(Code::input, "tensor ", name, " is not in the checkpoint");
    const TensorInfo& info = found->second.entry.info;
    const uint64_t row_bytes = info.bytes() / static_cast<uint64_t>(info.rows());
    if (rows.first < 0 || rows.count < 0 || rows.first + rows.count > info.rows() ||
        out.size() != row_bytes * static_cast<uint64_t>(rows.count))
      throw Error(Code::internal, "tensor ", name, ": rows ", rows.first, " + ", rows.count, " of ", info.rows(),
                  " into ", out.size(), " bytes");
    found->second.file->read(found->second.entry.offset + row_bytes * static_cast<uint64_t>(rows.first), out);
  }

  [[nodiscard]] std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, place] : tensors_) all.push_back(name);
    return all;
  }

  [[nodiscard]] std::optional<std::string> text(std::string_view file_name) const override {
    if (!names_.contains(file_name)) return std::nullopt;
    return read_text(*files_->open(file_name), file_name);
  }

 private:
  struct Place {
    SafetensorsEntry entry;
    const ByteSource* file;
  };

  void open_shards(const nlohmann::json& index) {
    const auto map = index.is_object() ? index.find("weight_map") : index.end();
    if (!index.is_object() || map == index.end() || !map->is_object())
      throw Error(Code::corrupt, kIndex, ": expected an object with weight_map");
    std::set<std::string> shards;
    for (const auto& [tensor, file] : map->items()) {
      if (!file.is_string() || !names_.contains(file.get_ref<const std::string&>()))
        throw Error(Code::corrupt, kIndex, ": tensor ", tensor, ": file ", file.dump().substr(0, 80), " is missing");
      shards.insert(file.get<std::string>());
    }
    for (const std::string& shard : shards) add_file(shard, &*map);
    for (const auto& [tensor, file] : map->items())
      if (!tensors_.contains(tensor))
        throw Error(Code::corrupt, kIndex, ": tensor ", tensor, " is not in ", file.get_ref<const std::string&>());
  }

  // `map` is the index's weight_map, which must put every tensor of the file there.
  void add_file(const std::string& name, const nlohmann::json* map) {
    opened_.push_back(files_->open(name));
    for (auto& [tensor, entry] : read_safetensors_header(*opened_.back(), name)) {
      if (map != nullptr && (!map->contains(tensor) || (*map)[tensor] != name))
        throw Error(Code::corrupt, name, ": tensor ", tensor, ": the index does not put it in this file");
      tensors_.emplace(tensor, Place{.entry = std::move(entry), .file = opened_.back().get()});
    }
  }

  std::unique_ptr<CheckpointFiles> files_;
  std::set<std::string, std::less<>> names_;
  std::vector<std::unique_ptr<ByteSource>> opened_;
  std::map<std::string, Place, std::less<>> tensors_;
};

}  // namespace

std::unique_ptr<CheckpointFiles> checkpoint_folder(const std::filesystem::path& folder) {
  return std::make_unique<FolderFiles>(folder);
}

std::unique_ptr<WeightsSource> open_checkpoint(std::unique_ptr<CheckpointFiles> files) {
  return std::make_unique<Checkpoint>(std::move(files));
}

}  // namespace gf
