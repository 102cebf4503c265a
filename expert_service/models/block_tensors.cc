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

StoredMatrix Stored(const Safetensors::Entry& entry, std::vector<float> weight, int64_t in) {
  StoredMatrix matrix;
  matrix.in = in;
  matrix.out = static_cast<int64_t>(weight.size()) / in;
  matrix.format = FormatOf(entry);
  matrix.weight = std::move(weight);
  return matrix;
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
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<float> weight, Floats(name, {out, in}));
  return Stored(*file_->Find(name), std::move(weight), in);
}

bool ModelTensors::HasMatrix(absl::string_view name) const {
  return Has(name) || (file_ != nullptr && IsCoded(*file_, name));
}

absl::StatusOr<StoredMatrix> ModelTensors::ExpertMatrix(absl::string_view name, int64_t expert,
                                                        int64_t count, int64_t out, int64_t in) {
  if (!Has(name)) return Matrix(absl::StrCat(name, ".", expert), out, in);
  read_.insert(std::string(name));
  absl::StatusOr<std::vector<float>> weight = file_->FloatsOfPart(name, {count, out, in}, expert);
  if (!weight.ok()) return InFile(weight.status());
  if (weight->empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": tensor ", name, " is empty"));
  }
  return Stored(*file_->Find(name), *std::move(weight), in);
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
