#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock {

// A safetensors file, mapped read-only: u64 little-endian header length, JSON header, data.
// Strict: truncated files, overlapping or gapped offsets, sizes that do not match, headers over
// 100 MB, repeated keys and unknown dtypes are INVALID_ARGUMENT with the reason. Immutable. A file must
// be replaced by renaming, as WriteSafetensors does, not rewritten in place.
class Safetensors {
 public:
  struct Entry {
    std::string dtype;  // safetensors' name: "F32", "BF16", ...
    std::vector<int64_t> shape;
    absl::string_view data;  // lives as long as the file; at any alignment
  };

  static absl::StatusOr<std::shared_ptr<const Safetensors>> Open(const std::string& path);
  static absl::StatusOr<std::shared_ptr<const Safetensors>> Parse(std::string data);
  ~Safetensors();

  // Null when there is none of that name.
  const Entry* Find(absl::string_view name) const;
  const std::map<std::string, Entry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // F32, F16, BF16 and F64 tensors as fp32; checks the shape (-1 accepts any size of a dimension).
  // NOT_FOUND or INVALID_ARGUMENT name the tensor, what was wanted and what is there.
  absl::StatusOr<std::vector<float>> Floats(absl::string_view name,
                                            absl::Span<const int64_t> shape) const;
  // Of a tensor of that shape only the part [index] of its first dimension.
  absl::StatusOr<std::vector<float>> FloatsOfPart(absl::string_view name,
                                                  absl::Span<const int64_t> shape,
                                                  int64_t index) const;

 private:
  Safetensors() = default;
  absl::StatusOr<std::vector<float>> Convert(absl::string_view name,
                                             absl::Span<const int64_t> shape,
                                             std::optional<int64_t> part) const;
  absl::Status ParseMapped(absl::string_view file);

  std::string owned_;
  void* mapping_ = nullptr;
  size_t mapping_size_ = 0;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

struct SafetensorsTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;  // written as F32, where `dtype` is that
  // Another type than F32: its safetensors name and the data, little-endian; `values` is empty.
  std::string dtype = "F32";
  std::string raw = {};
};
// The file's bytes.
absl::StatusOr<std::string> SafetensorsBytes(const std::vector<SafetensorsTensor>& tensors,
                                             const std::map<std::string, std::string>& metadata);
// Writes atomically (a temporary file renamed).
absl::Status WriteSafetensors(const std::string& path, const std::vector<SafetensorsTensor>& tensors,
                              const std::map<std::string, std::string>& metadata);

// A tensor whose data stand elsewhere, in pieces one behind the other.
struct SafetensorsView {
  std::string name;
  std::vector<int64_t> shape;
  std::string dtype;
  std::vector<absl::string_view> pieces;

  uint64_t bytes() const;
};
// The same of data that need not be in memory: pieces of a mapped file are read as they are
// written. `progress`, where it is not null, is told the bytes of each step.
absl::Status WriteSafetensorsViews(const std::string& path,
                                   const std::vector<SafetensorsView>& tensors,
                                   const std::map<std::string, std::string>& metadata,
                                   const std::function<void(uint64_t)>& progress);

}  // namespace penstock
