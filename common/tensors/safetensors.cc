#include "common/tensors/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/float_formats.h"
#include "common/tensors/tensor.h"

namespace penstock {
namespace {

constexpr uint64_t kMaxHeaderSize = 100'000'000;  // the format's own limit

// 0: unknown.
size_t DtypeSize(absl::string_view dtype) {
  for (const auto& [name, size] :
       std::initializer_list<std::pair<absl::string_view, size_t>>{{"BOOL", 1},
                                                                   {"U8", 1},
                                                                   {"I8", 1},
                                                                   {"F8_E4M3", 1},
                                                                   {"F8_E5M2", 1},
                                                                   {"U16", 2},
                                                                   {"I16", 2},
                                                                   {"F16", 2},
                                                                   {"BF16", 2},
                                                                   {"U32", 4},
                                                                   {"I32", 4},
                                                                   {"F32", 4},
                                                                   {"U64", 8},
                                                                   {"I64", 8},
                                                                   {"F64", 8}}) {
    if (name == dtype) return size;
  }
  return 0;
}

struct RawEntry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  std::vector<uint64_t> offsets;
  bool has_dtype = false;
  bool has_shape = false;
  bool has_offsets = false;
};

// Takes the header as a stream of events: a parsed document would have lost repeated keys.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<RawEntry> entries;
  std::map<std::string, std::string> metadata;
  std::string error;

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return Unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return Unexpected("a fraction"); }
  bool binary(binary_t&) override { return Unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      entries.back().shape.push_back(value);
    } else if (place_ == Place::kOffsets) {
      entries.back().offsets.push_back(value);
    } else {
      return Unexpected("a number");
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      if (!metadata.emplace(key_, value).second) {
        return Fail(absl::StrCat("__metadata__ has the key '", key_, "' twice"));
      }
      return true;
    }
    if (place_ != Place::kEntry || key_ != "dtype") return Unexpected("a string");
    RawEntry& entry = entries.back();
    if (std::exchange(entry.has_dtype, true)) return Repeated();
    entry.dtype = value;
    return true;
  }

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::kStart:
        place_ = Place::kTop;
        return true;
      case Place::kTop:
        if (key_ == "__metadata__") {
          if (std::exchange(has_metadata_, true)) return Fail("__metadata__ stands twice");
          place_ = Place::kMetadata;
        } else {
          entries.emplace_back().name = key_;
          place_ = Place::kEntry;
        }
        return true;
      default:
        return Unexpected("an object");
    }
  }
  bool end_object() override {
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool key(string_t& value) override {
    key_ = value;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::kEntry) return Unexpected("an array");
    RawEntry& entry = entries.back();
    if (key_ == "shape") {
      if (std::exchange(entry.has_shape, true)) return Repeated();
      place_ = Place::kShape;
      return true;
    }
    if (key_ == "data_offsets") {
      if (std::exchange(entry.has_offsets, true)) return Repeated();
      place_ = Place::kOffsets;
      return true;
    }
    return Unexpected("an array");
  }
  bool end_array() override {
    place_ = Place::kEntry;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(absl::StrCat("the header is not JSON at byte ", position));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kEntry, kShape, kOffsets, kEnd };

  bool Fail(std::string message) {
    if (error.empty()) error = std::move(message);
    return false;
  }
  bool Unexpected(absl::string_view what) {
    std::string where = "the header";
    if (place_ == Place::kMetadata) where = "__metadata__";
    if (place_ == Place::kEntry) where = absl::StrCat("tensor '", entries.back().name, "'");
    return Fail(absl::StrCat(where, ": ", what, " under the key '", key_, "'"));
  }
  bool Repeated() {
    return Fail(absl::StrCat("tensor '", entries.back().name, "' has the key '", key_, "' twice"));
  }

  Place place_ = Place::kStart;
  bool has_metadata_ = false;
  std::string key_;
};

absl::Status Bad(absl::string_view tensor, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor, "': ", what));
}

// The entry with its data, checked against its own shape and the size of the data section.
absl::StatusOr<Safetensors::Entry> Checked(const RawEntry& raw, absl::string_view data) {
  if (!raw.has_dtype) return Bad(raw.name, "dtype is missing");
  if (!raw.has_shape) return Bad(raw.name, "shape is missing");
  if (!raw.has_offsets) return Bad(raw.name, "data_offsets is missing");
  const size_t element_size = DtypeSize(raw.dtype);
  if (element_size == 0) return Bad(raw.name, absl::StrCat("unknown dtype '", raw.dtype, "'"));
  if (raw.offsets.size() != 2) {
    return Bad(raw.name, absl::StrCat("data_offsets wants 2 numbers, got ", raw.offsets.size()));
  }
  const auto [begin, end] = std::pair(raw.offsets[0], raw.offsets[1]);
  if (begin > end || end > data.size()) {
    return Bad(raw.name, absl::StrCat("data_offsets [", begin, ",", end, "] do not lie in the ",
                                      data.size(), " bytes of data: truncated?"));
  }
  Safetensors::Entry entry{
      .dtype = raw.dtype, .shape = {}, .data = data.substr(begin, end - begin)};
  uint64_t wanted = element_size;
  for (const uint64_t dimension : raw.shape) {
    if (dimension > INT64_MAX || __builtin_mul_overflow(wanted, dimension, &wanted)) {
      return Bad(raw.name, "the shape has too many elements");
    }
    entry.shape.push_back(static_cast<int64_t>(dimension));
  }
  if (wanted != entry.data.size()) {
    return Bad(raw.name, absl::StrCat(raw.dtype, " of shape ", ShapeString(entry.shape), " takes ",
                                      wanted, " bytes, data_offsets give ", entry.data.size()));
  }
  return entry;
}

// Tensors must cover the data without a gap or an overlap, or bytes would hide in the file.
absl::Status CheckTiling(std::vector<RawEntry>& entries, uint64_t data_size) {
  std::sort(entries.begin(), entries.end(),
            [](const RawEntry& a, const RawEntry& b) { return a.offsets < b.offsets; });
  uint64_t covered = 0;
  for (const RawEntry& entry : entries) {
    if (entry.offsets[0] < covered) return Bad(entry.name, "overlaps another tensor");
    if (entry.offsets[0] > covered) return Bad(entry.name, "follows a gap in the data");
    covered = entry.offsets[1];
  }
  if (covered == data_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(data_size - covered, " bytes at the end belong to no tensor"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Safetensors>> Safetensors::Open(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    const int error = errno;
    return absl::ErrnoToStatus(error, absl::StrCat("opening ", path));
  }
  std::shared_ptr<Safetensors> result(new Safetensors());
  struct stat info {};
  const bool regular = fstat(file, &info) == 0 && S_ISREG(info.st_mode);
  if (regular && info.st_size > 0) {
    void* mapping = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapping != MAP_FAILED) {
      result->mapping_ = mapping;
      result->mapping_size_ = info.st_size;
    }
  }
  close(file);
  if (!regular) return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  if (result->mapping_ == nullptr && info.st_size > 0) {
    return absl::InternalError(absl::StrCat(path, ": cannot be mapped"));
  }
  const absl::Status parsed = result->ParseMapped(
      absl::string_view(static_cast<const char*>(result->mapping_), result->mapping_size_));
  if (!parsed.ok()) return absl::Status(parsed.code(), absl::StrCat(path, ": ", parsed.message()));
  return result;
}

absl::StatusOr<std::shared_ptr<const Safetensors>> Safetensors::Parse(std::string data) {
  std::shared_ptr<Safetensors> result(new Safetensors());
  result->owned_ = std::move(data);
  PENSTOCK_RETURN_IF_ERROR(result->ParseMapped(result->owned_));
  return result;
}

Safetensors::~Safetensors() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_size_);
}

absl::Status Safetensors::ParseMapped(absl::string_view file) {
  uint64_t header_size = 0;
  if (file.size() < sizeof(header_size)) {
    return absl::InvalidArgumentError(
        absl::StrCat("truncated: wanted 8 bytes of header length, got ", file.size()));
  }
  std::memcpy(&header_size, file.data(), sizeof(header_size));
  file.remove_prefix(sizeof(header_size));
  if (header_size > kMaxHeaderSize) {
    return absl::InvalidArgumentError(absl::StrCat("header of ", header_size, " bytes, at most ",
                                                   kMaxHeaderSize, " are allowed"));
  }
  if (header_size > file.size()) {
    return absl::InvalidArgumentError(absl::StrCat("truncated: the header has ", header_size,
                                                   " bytes, the file ", file.size(), " after it"));
  }
  const absl::string_view header = file.substr(0, header_size);
  const absl::string_view data = file.substr(header_size);
  if (!absl::StartsWith(header, "{")) {
    return absl::InvalidArgumentError("the header does not begin with {");
  }
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader)) {
    return absl::InvalidArgumentError(reader.error);
  }
  for (const RawEntry& raw : reader.entries) {
    PENSTOCK_ASSIGN_OR_RETURN(Entry entry, Checked(raw, data));
    if (!entries_.emplace(raw.name, std::move(entry)).second) {
      return Bad(raw.name, "stands twice");
    }
  }
  metadata_ = std::move(reader.metadata);
  return CheckTiling(reader.entries, data.size());
}

const Safetensors::Entry* Safetensors::Find(absl::string_view name) const {
  const auto it = entries_.find(std::string(name));
  return it == entries_.end() ? nullptr : &it->second;
}

absl::StatusOr<std::vector<float>> Safetensors::Floats(absl::string_view name,
                                                       absl::Span<const int64_t> shape) const {
  return Convert(name, shape, std::nullopt);
}

absl::StatusOr<std::vector<float>> Safetensors::FloatsOfPart(absl::string_view name,
                                                             absl::Span<const int64_t> shape,
                                                             int64_t index) const {
  return Convert(name, shape, index);
}

absl::StatusOr<std::vector<float>> Safetensors::Convert(absl::string_view name,
                                                        absl::Span<const int64_t> shape,
                                                        std::optional<int64_t> part) const {
  const Entry* entry = Find(name);
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "tensor '", name, "' is missing, wanted floats of shape ", ShapeString(shape)));
  }
  bool matches = entry->shape.size() == shape.size();
  for (size_t i = 0; matches && i < shape.size(); ++i) {
    matches = shape[i] == -1 || shape[i] == entry->shape[i];
  }
  if (!matches) {
    return Bad(name, absl::StrCat("wanted shape ", ShapeString(shape), ", got ",
                                  ShapeString(entry->shape)));
  }
  DataType type = DataType::kFp32;
  if (entry->dtype == "F16") {
    type = DataType::kFp16;
  } else if (entry->dtype == "BF16") {
    type = DataType::kBf16;
  } else if (entry->dtype == "F64") {
    type = DataType::kFp64;
  } else if (entry->dtype != "F32") {
    return Bad(name, absl::StrCat("wanted F32, F16, BF16 or F64, got ", entry->dtype));
  }
  Tensor tensor{.name = std::string(name),
                .datatype = type,
                .shape = entry->shape,
                .data = Bytes::Static(entry->data)};
  if (part) {
    if (tensor.shape.empty() || *part < 0 || *part >= tensor.shape[0]) {
      return Bad(name,
                 absl::StrCat("has no part ", *part, ", its shape is ", ShapeString(entry->shape)));
    }
    const size_t size = entry->data.size() / static_cast<size_t>(tensor.shape[0]);
    tensor.shape.erase(tensor.shape.begin());
    tensor.data = Bytes::Static(entry->data.substr(static_cast<size_t>(*part) * size, size));
  }
  return ToFloats(tensor);
}

}  // namespace penstock
