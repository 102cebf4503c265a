#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "expert_service/models/stored_matrix.h"

namespace penstock::expert {

// The weights of one model, asked for by block. Remembers what was asked for, so that a tensor that
// no block reads (a misspelt name) is found.
class ModelTensors {
 public:
  // `file` may be null: no file is at `path`, which is fine as long as no block has weights.
  ModelTensors(const Safetensors* file, std::string path) : file_(file), path_(std::move(path)) {}

  bool Has(absl::string_view name) const;
  // As stored. NOT_FOUND names the tensor and the file.
  absl::StatusOr<std::vector<int64_t>> Shape(absl::string_view name) const;
  // fp32; the shape must be exactly this, -1 for any size.
  absl::StatusOr<std::vector<float>> Floats(absl::string_view name,
                                            absl::Span<const int64_t> shape);
  // A matrix as it is stored, [out, in]; `out` -1: any.
  absl::StatusOr<StoredMatrix> Matrix(absl::string_view name, int64_t out, int64_t in);
  bool HasMatrix(absl::string_view name) const;
  // The matrix of one of `count` experts, all of one shape: NAME is [count, out, in], or there are
  // matrices NAME.0, NAME.1, ..., each in a format of its own.
  absl::StatusOr<StoredMatrix> ExpertMatrix(absl::string_view name, int64_t expert, int64_t count,
                                            int64_t out, int64_t in);
  // INVALID_ARGUMENT for tensors that nobody read.
  absl::Status CheckAllRead() const;

 private:
  absl::Status InFile(absl::Status status) const;

  const Safetensors* file_;
  const std::string path_;
  std::set<std::string> read_;
};

// The tensors of block `index`: "weight" is "<index>.weight" of the file.
class BlockTensors {
 public:
  BlockTensors(ModelTensors& tensors, int index) : tensors_(tensors), index_(index) {}

  bool Has(absl::string_view name) const { return tensors_.Has(Full(name)); }
  absl::StatusOr<std::vector<int64_t>> Shape(absl::string_view name, size_t rank) const;
  absl::StatusOr<std::vector<float>> Floats(absl::string_view name,
                                            absl::Span<const int64_t> shape) {
    return tensors_.Floats(Full(name), shape);
  }
  absl::StatusOr<StoredMatrix> Matrix(absl::string_view name, int64_t out, int64_t in) {
    return tensors_.Matrix(Full(name), out, in);
  }
  bool HasMatrix(absl::string_view name) const { return tensors_.HasMatrix(Full(name)); }
  absl::StatusOr<StoredMatrix> ExpertMatrix(absl::string_view name, int64_t expert, int64_t count,
                                            int64_t out, int64_t in) {
    return tensors_.ExpertMatrix(Full(name), expert, count, out, in);
  }

 private:
  std::string Full(absl::string_view name) const;

  ModelTensors& tensors_;
  const int index_;
};

}  // namespace penstock::expert
