#include "expert_service/models/block_tensors.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/tensor.h"

namespace penstock::expert {
namespace {

kernels::WeightFormat FormatOf(const Safetensors::Entry& entry) {
  if (entry.dtype == "BF16") return kernels::WeightFormat::kBf16;
  if (entry.dtype == "F16") return kernels::WeightFormat::kF16;
  return kernels::WeightFormat::kF32;
}

}  // namespace

bool ModelTensors::Has(absl::string_view name) const {
  return file_ != nullptr && file_->Find(name) != nullptr;
}

absl::StatusOr<std::vector<int64_t>> ModelTensors::Shape(absl::string_view name) const {
  if (file_ == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("tensor ", name, " is wanted, but ", path_, " does not exist"));
  }
  const Safetensors::Entry* entry = file_->Find(name);
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat(path_, " has no tensor ", name));
  }
  return entry->shape;
}

absl::StatusOr<std::vector<float>> ModelTensors::Floats(absl::string_view name,
                                                        absl::Span<const int64_t> shape) {
  if (absl::StatusOr<std::vector<int64_t>> found = Shape(name); !found.ok()) {
    return found.status();
  }
  read_.insert(std::string(name));
  absl::StatusOr<std::vector<float>> floats = file_->Floats(name, shape);
  if (!floats.ok()) return InFile(floats.status());
  if (floats->empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": tensor ", name, " is empty"));
  }
  return floats;
}

absl::Status ModelTensors::InFile(absl::Status status) const {
  return absl::Status(status.code(), absl::StrCat(path_, ": ", status.message()));
}

absl::StatusOr<StoredMatrix> ModelTensors::Matrix(absl::string_view name, int64_t out, int64_t in) {
  if (file_ != nullptr && IsCoded(*file_, name)) {
    for (const absl::string_view part : {".codes", ".scales"}) {
      read_.insert(absl::StrCat(name, part));
    }
    absl::StatusOr<StoredMatrix> matrix = ReadCoded(*file_, name, out, in);
    return matrix.ok() ? std::move(matrix) : InFile(matrix.status());
  }
  StoredMatrix matrix;
  PENSTOCK_ASSIGN_OR_RETURN(matrix.weight, Floats(name, {out, in}));
  matrix.in = in;
  matrix.out = static_cast<int64_t>(matrix.weight.size()) / in;
  matrix.format = FormatOf(*file_->Find(name));
  return matrix;
}

absl::StatusOr<std::vector<StoredMatrix>> ModelTensors::Matrices(absl::string_view name,
                                                                 int64_t count, int64_t out,
                                                                 int64_t in) {
  std::vector<StoredMatrix> matrices(static_cast<size_t>(count));
  if (!Has(name)) {
    for (int64_t e = 0; e < count; ++e) {
      const std::string own = absl::StrCat(name, ".", e);
      PENSTOCK_ASSIGN_OR_RETURN(matrices[static_cast<size_t>(e)], Matrix(own, out, in));
      out = matrices[0].out;
    }
    return matrices;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> all, Floats(name, {count, out, in}));
  out = static_cast<int64_t>(all.size()) / (count * in);
  for (int64_t e = 0; e < count; ++e) {
    StoredMatrix& matrix = matrices[static_cast<size_t>(e)];
    matrix.out = out;
    matrix.in = in;
    matrix.format = FormatOf(*file_->Find(name));
    const auto begin = all.begin() + e * out * in;
    matrix.weight.assign(begin, begin + out * in);
  }
  return matrices;
}

absl::Status ModelTensors::CheckAllRead() const {
  if (file_ == nullptr) return absl::OkStatus();
  for (const auto& [name, entry] : file_->entries()) {
    if (read_.count(name) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(path_, " has tensor ", name, " ",
                                                     ShapeString(entry.shape),
                                                     ", which no block of config.yaml reads"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> BlockTensors::Shape(absl::string_view name,
                                                         size_t rank) const {
  absl::StatusOr<std::vector<int64_t>> shape = tensors_.Shape(Full(name));
  if (shape.ok() && shape->size() != rank) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", Full(name), ": wanted ", rank,
                                                   " dimensions, found ", ShapeString(*shape)));
  }
  return shape;
}

std::string BlockTensors::Full(absl::string_view name) const {
  return absl::StrCat(index_, ".", name);
}

}  // namespace penstock::expert
