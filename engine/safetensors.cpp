// The header of one safetensors file.
#include "engine/safetensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxRank = 8;

std::string tensor_at(std::string_view file, const std::string& name) { return std::string(file) + ": tensor " + name; }

DType parse_dtype(const Json& value, const std::string& where) {
  constexpr std::array kAll = {DType::f32, DType::bf16, DType::f16, DType::f8_e4m3, DType::i64,
                               DType::i32, DType::i8,   DType::u8,  DType::boolean};
  if (value.is_string())
    for (const DType dtype : kAll)
      if (value.get_ref<const std::string&>() == dtype_name(dtype)) return dtype;
  throw Error(Code::corrupt, where, ": dtype ", value.dump().substr(0, 40), " is not known");
}

uint64_t natural(const Json& value, const std::string& where, std::string_view what) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  throw Error(Code::corrupt, where, ": ", what, ": expected a whole number, found ", value.dump().substr(0, 40));
}

std::vector<int64_t> parse_shape(const Json& value, const std::string& where) {
  if (!value.is_array() || value.size() > kMaxRank)
    throw Error(Code::corrupt, where, ": shape: expected a list of at most ", kMaxRank, " sizes");
  std::vector<int64_t> shape;
  uint64_t numbers = 1;
  for (const Json& entry : value) {
    const uint64_t size = natural(entry, where, "shape");
    if (size == 0) throw Error(Code::corrupt, where, ": shape: a size is 0");
    if (__builtin_mul_overflow(numbers, size, &numbers) || numbers > (uint64_t{1} << 48))
      throw Error(Code::corrupt, where, ": shape: more numbers than any model has");
    shape.push_back(static_cast<int64_t>(size));
  }
  return shape;
}

SafetensorsEntry parse_entry(const Json& value, const std::string& where, uint64_t data_start, uint64_t data_bytes) {
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets"))
    throw Error(Code::corrupt, where, ": expected exactly dtype, shape and data_offsets");
  SafetensorsEntry entry;
  entry.info.dtype = parse_dtype(value["dtype"], where);
  entry.info.shape = parse_shape(value["shape"], where);
  const Json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2)
    throw Error(Code::corrupt, where, ": data_offsets: expected [begin, end]");
  const uint64_t begin = natural(offsets[0], where, "data_offsets");
  const uint64_t end = natural(offsets[1], where, "data_offsets");
  if (begin > end || end > data_bytes)
    throw Error(Code::corrupt, where, ": data_offsets [", begin, ", ", end, "] are outside the file's ", data_bytes,
                " bytes of data");
  if (end - begin != entry.info.bytes())
    throw Error(Code::corrupt, where, ": ", dtype_name(entry.info.dtype), " ", shape_text(entry.info.shape), " takes ",
                entry.info.bytes(), " bytes, data_offsets give ", end - begin);
  entry.offset = data_start + begin;
  return entry;
}

using Entries = std::map<std::string, SafetensorsEntry, std::less<>>;

// Every byte of the data belongs to exactly one tensor.
void require_tiling(const Entries& entries, std::string_view file, uint64_t data_start, uint64_t file_bytes) {
  std::vector<const Entries::value_type*> order;
  for (const auto& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->second.offset < b->second.offset; });
  uint64_t end = data_start;
  for (const auto* entry : order) {
    const auto& [name, at] = *entry;
    if (at.offset < end) throw Error(Code::corrupt, tensor_at(file, name), ": overlaps the tensor before it");
    if (at.offset > end)
      throw Error(Code::corrupt, tensor_at(file, name), ": ", at.offset - end, " bytes before it belong to no tensor");
    end = at.offset + at.info.bytes();
  }
  if (end != file_bytes)
    throw Error(Code::corrupt, file, ": ", file_bytes - end, " bytes after the last tensor belong to no tensor");
}

}  // namespace

Entries read_safetensors_header(const ByteSource& source, std::string_view file) {
  std::array<std::byte, 8> size_bytes{};
  if (source.size() < size_bytes.size())
    throw Error(Code::corrupt, file, ": ", source.size(), " bytes are too few for a safetensors file");
  source.read(0, size_bytes);
  uint64_t header_bytes = 0;
  for (size_t i = 8; i-- > 0;) header_bytes = header_bytes << 8U | static_cast<uint64_t>(size_bytes[i]);
  if (header_bytes > kMaxHeaderBytes || header_bytes > source.size() - 8)
    throw Error(Code::corrupt, file, ": a header of ", header_bytes, " bytes does not fit the file of ", source.size(),
                " bytes (limit ", kMaxHeaderBytes, ")");
  std::string text(header_bytes, '\0');
  source.read(8, std::as_writable_bytes(std::span(text)));
  Json header;
  try {
    header = parse_json(text, std::string(file) + ": header");
  } catch (const Error& error) {
    throw Error(Code::corrupt, error.message());
  }
  if (!header.is_object()) throw Error(Code::corrupt, file, ": header: expected an object");

  const uint64_t data_start = 8 + header_bytes;
  Entries entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) throw Error(Code::corrupt, file, ": __metadata__: expected an object");
      continue;
    }
    entries.emplace(name, parse_entry(value, tensor_at(file, name), data_start, source.size() - data_start));
  }
  require_tiling(entries, file, data_start, source.size());
  return entries;
}

}  // namespace gf
