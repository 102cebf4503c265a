#include "expert_service/models/block_tensors.h"

#include "absl/strings/str_cat.h"
#include "common/tensors/tensor.h"

namespace penstock::expert {

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
  if (!floats.ok()) {
    return absl::Status(floats.status().code(),
                        absl::StrCat(path_, ": ", floats.status().message()));
  }
  if (floats->empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": tensor ", name, " is empty"));
  }
  return floats;
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
