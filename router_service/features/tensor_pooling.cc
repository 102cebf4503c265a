#include "router_service/features/tensor_pooling.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

bool AllFinite(absl::Span<const float> values) {
  // A sum of v*0 is NaN iff some v is not finite; unlike a test per value it vectorises.
  float zero = 0;
  for (const float value : values) zero += value * 0.0f;
  return zero == 0.0f;
}

// A tensor's values as fp32 without a copy where it is FP32 in one aligned piece.
class FloatView {
 public:
  absl::Status Read(const Tensor& tensor) {
    PENSTOCK_RETURN_IF_ERROR(ValidateTensor(tensor));
    if (tensor.datatype == DataType::kFp32) {
      const absl::string_view flat = tensor.data.Flat(storage_);
      if (reinterpret_cast<uintptr_t>(flat.data()) % alignof(float) == 0) {
        values_ = {reinterpret_cast<const float*>(flat.data()), flat.size() / sizeof(float)};
        return absl::OkStatus();
      }
      copy_.resize(flat.size() / sizeof(float));
      std::memcpy(copy_.data(), flat.data(), flat.size());
    } else {
      PENSTOCK_ASSIGN_OR_RETURN(copy_, ToFloats(tensor));
    }
    values_ = copy_;
    return absl::OkStatus();
  }
  absl::Span<const float> values() const { return values_; }

 private:
  std::string storage_;
  std::vector<float> copy_;
  absl::Span<const float> values_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<const FeatureExtractor>> TensorPooling::Create(
    const config::v1::TensorPooling& config, const std::vector<config::v1::TensorSpec>& inputs) {
  const config::v1::TensorSpec* spec = nullptr;
  for (const config::v1::TensorSpec& input : inputs) {
    const bool wanted =
        config.input().empty() ? input.datatype() != "BYTES" : input.name() == config.input();
    if (wanted) {
      spec = &input;
      break;
    }
  }
  if (spec == nullptr) {
    return absl::InvalidArgumentError(
        config.input().empty() ? "features.tensor_pooling: the pool has no numeric input"
                               : absl::StrCat("features.tensor_pooling.input is \"", config.input(),
                                              "\", but the pool has no input of that name"));
  }
  if (spec->datatype() == "BYTES") {
    return absl::InvalidArgumentError(absl::StrCat("features.tensor_pooling.input \"", spec->name(),
                                                   "\" is BYTES, wanted a numeric input"));
  }
  const int64_t width = spec->shape().empty() ? 1 : spec->shape(spec->shape_size() - 1);
  if (width <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("features.tensor_pooling: the last dimension of input \"", spec->name(),
                     "\" is ", width, ", wanted a fixed positive size"));
  }
  const uint32_t cells = config.cells() == 0 ? static_cast<uint32_t>(width) : config.cells();
  if (width % cells != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("features.tensor_pooling.cells is ", cells, ", but the ", width,
                     " values of input \"", spec->name(), "\" do not divide into so many runs"));
  }
  int64_t row_width = 1;
  for (const int64_t dimension : spec->shape()) {
    row_width = dimension < 0 ? 0 : row_width * dimension;
  }
  return absl::WrapUnique<const FeatureExtractor>(new TensorPooling(
      spec->name(), static_cast<size_t>(width), cells, static_cast<size_t>(row_width)));
}

absl::StatusOr<const Tensor*> TensorPooling::Find(absl::Span<const Tensor> inputs) const {
  for (const Tensor& tensor : inputs) {
    if (tensor.name != input_) continue;
    const int64_t last = tensor.shape.empty() ? 1 : tensor.shape.back();
    // A contract without dimensions is one value a row.
    if (last != static_cast<int64_t>(width_) && width_ != 1) {
      return absl::InvalidArgumentError(absl::StrCat("input \"", input_, "\" has shape ",
                                                     ShapeString(tensor.shape),
                                                     ", wanted a last dimension of ", width_));
    }
    return &tensor;
  }
  return absl::InvalidArgumentError(absl::StrCat("input \"", input_, "\" is missing"));
}

void TensorPooling::Pool(absl::Span<const float> values, absl::Span<float> z) const {
  const size_t leading = values.size() / width_;
  const size_t run = width_ / cells_;
  absl::InlinedVector<double, 512> sums(cells_, 0.0);
  for (size_t row = 0; row < leading; ++row) {
    const float* value = values.data() + row * width_;
    for (size_t cell = 0; cell < cells_; ++cell, value += run) {
      double sum = 0;
      for (size_t i = 0; i < run; ++i) sum += value[i];
      sums[cell] += sum;
    }
  }
  const double scale = 1.0 / (static_cast<double>(run) * static_cast<double>(leading));
  for (size_t cell = 0; cell < cells_; ++cell) z[cell] = static_cast<float>(sums[cell] * scale);
}

absl::Status TensorPooling::Extract(const FeatureRequest& request, FeatureBuffer& buffer) const {
  buffer.Clear();
  PENSTOCK_ASSIGN_OR_RETURN(const Tensor* tensor, Find(request.inputs));
  FloatView view;
  PENSTOCK_RETURN_IF_ERROR(view.Read(*tensor));
  if (view.values().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("input \"", input_, "\" has no values"));
  }
  buffer.dense.resize(cells_);
  Pool(view.values(), absl::MakeSpan(buffer.dense));
  buffer.finite = AllFinite(buffer.dense);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> TensorPooling::ExtractRows(absl::Span<const Tensor> inputs,
                                                   std::vector<float>& z,
                                                   std::vector<uint8_t>& finite) const {
  PENSTOCK_ASSIGN_OR_RETURN(const Tensor* tensor, Find(inputs));
  if (tensor->shape.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("input \"", input_, "\" has no rows"));
  }
  FloatView view;
  PENSTOCK_RETURN_IF_ERROR(view.Read(*tensor));
  const int64_t rows = tensor->shape[0];
  z.resize(static_cast<size_t>(rows) * cells_);
  finite.resize(static_cast<size_t>(rows));
  if (rows == 0) return 0;
  const size_t row_width = view.values().size() / static_cast<size_t>(rows);
  if (row_width == 0 || row_width % width_ != 0 || (row_width_ != 0 && row_width != row_width_)) {
    return absl::InvalidArgumentError(
        absl::StrCat("input \"", input_, "\" has shape ", ShapeString(tensor->shape), ": ",
                     row_width, " values a row, wanted ", row_width_ != 0 ? row_width_ : width_));
  }
  for (int64_t row = 0; row < rows; ++row) {
    const absl::Span<float> out(z.data() + static_cast<size_t>(row) * cells_, cells_);
    Pool(view.values().subspan(static_cast<size_t>(row) * row_width, row_width), out);
    finite[static_cast<size_t>(row)] = AllFinite(out);
  }
  return rows;
}

}  // namespace penstock::router
