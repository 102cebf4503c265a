#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"

namespace penstock::router {

// Linear maps of z, in the order of the file.
struct LinearHeads {
  std::vector<int64_t> shape;  // of the heads, as in the file
  std::vector<float> weight;   // [heads, dimension]
  std::vector<float> bias;     // [heads]

  double Score(size_t head, absl::Span<const float> z) const;
};

// A trained gate's file: metadata "kind" and "experts", and tensors by name. Every error names the
// file and what was wanted. Thread-safe.
class GateFile {
 public:
  static constexpr size_t kNobody = std::numeric_limits<size_t>::max();

  // INVALID_ARGUMENT where `kind` is another, or an expert is missing. The file may hold more
  // experts than the pool.
  static absl::StatusOr<GateFile> Open(const std::string& path, absl::string_view kind,
                                       const std::vector<std::string>& expert_names);

  // Where the pool's experts stand in the file [pool], and the reverse [file], kNobody where the
  // pool has no such expert.
  const std::vector<size_t>& columns() const { return columns_; }
  const std::vector<size_t>& pool_of() const { return pool_of_; }
  // Experts in the file.
  size_t experts() const { return pool_of_.size(); }
  const std::string& path() const { return path_; }
  std::string Metadata(const std::string& key) const;

  bool Has(absl::string_view name) const { return file_->Find(name) != nullptr; }
  // Values of a tensor, all finite; -1 in `shape` accepts any size.
  absl::StatusOr<std::vector<float>> Tensor(absl::string_view name,
                                            absl::Span<const int64_t> shape) const;
  // A tensor of one value.
  absl::StatusOr<double> Scalar(absl::string_view name) const;
  // Tensors `name` [heads..., dimension] and `name`_bias [heads...] (zero where absent).
  absl::StatusOr<LinearHeads> Heads(const std::string& name, std::vector<int64_t> heads,
                                    size_t dimension) const;
  absl::Status Refused(absl::string_view why) const;

 private:
  std::string path_;
  std::shared_ptr<const Safetensors> file_;
  std::vector<size_t> columns_, pool_of_;
};

}  // namespace penstock::router
