#include "expert_service/models/stored_matrix.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/tensor.h"

namespace penstock::expert {
namespace {

using kernels::CodedMatrix;
using kernels::WeightFormat;

constexpr absl::string_view kCodes = ".codes";
constexpr absl::string_view kScales = ".scales";
constexpr absl::string_view kFormat = ".format";

int64_t RowBytes(WeightFormat format, int64_t in) {
  return (in * kernels::FormatBits(format) + 7) / 8;
}

absl::StatusOr<WeightFormat> FormatOf(const Safetensors& file, absl::string_view name) {
  const auto found = file.metadata().find(absl::StrCat(name, kFormat));
  const std::string said = found == file.metadata().end() ? "" : found->second;
  const auto format = kernels::ParseFormat(said);
  if (!format || !kernels::IsScaled(*format)) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata ", name, kFormat,
                     ": wanted int8, int4, fp8_e4m3, ternary or pot4, found \"", said, "\""));
  }
  return *format;
}

}  // namespace

bool IsCoded(const Safetensors& file, absl::string_view name) {
  return file.Find(absl::StrCat(name, kCodes)) != nullptr;
}

absl::StatusOr<StoredMatrix> ReadCoded(const Safetensors& file, absl::string_view name, int64_t out,
                                       int64_t in) {
  const Safetensors::Entry* codes = file.Find(absl::StrCat(name, kCodes));
  if (codes == nullptr) return absl::NotFoundError(absl::StrCat("no tensor ", name, kCodes));
  PENSTOCK_ASSIGN_OR_RETURN(const WeightFormat format, FormatOf(file, name));
  const int64_t row_bytes = RowBytes(format, in);
  if (codes->dtype != "U8" || codes->shape.size() != 2 || codes->shape[1] != row_bytes ||
      codes->shape[0] < 1 || (out >= 0 && codes->shape[0] != out)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", name, kCodes, ": wanted U8 [", out < 0 ? "any" : absl::StrCat(out),
                     ", ", row_bytes, "], found ", codes->dtype, " ", ShapeString(codes->shape)));
  }
  StoredMatrix matrix = {codes->shape[0], in, format, {}, {format, in, codes->shape[0], 0, {}, {}}};
  CodedMatrix& coded = matrix.coded;
  PENSTOCK_ASSIGN_OR_RETURN(coded.scales,
                            file.Floats(absl::StrCat(name, kScales), {matrix.out, -1}));
  const int64_t groups = static_cast<int64_t>(coded.scales.size()) / matrix.out;
  if (groups < 1 || in % groups != 0) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, kScales, ": ", groups,
                                                   " groups do not divide ", in, " inputs"));
  }
  if (groups > 1) coded.group = in / groups;
  const int bits = kernels::FormatBits(format);
  coded.codes.resize(static_cast<size_t>(matrix.out * in));
  for (int64_t n = 0; n < matrix.out; ++n) {
    for (int64_t k = 0; k < in; ++k) {
      const auto byte =
          static_cast<uint8_t>(codes->data[static_cast<size_t>(n * row_bytes + k * bits / 8)]);
      coded.codes[static_cast<size_t>(n * in + k)] =
          static_cast<uint8_t>(byte >> (k * bits % 8) & ((1 << bits) - 1));
    }
  }
  if (const kernels::Status status = kernels::CheckCoded(coded); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, kCodes, ": ", status.message));
  }
  return matrix;
}

void WriteCoded(const std::string& name, const CodedMatrix& coded,
                std::vector<SafetensorsTensor>& tensors,
                std::map<std::string, std::string>& metadata) {
  const int64_t row_bytes = RowBytes(coded.format, coded.in);
  const int bits = kernels::FormatBits(coded.format);
  std::string packed(static_cast<size_t>(coded.out * row_bytes), '\0');
  for (int64_t n = 0; n < coded.out; ++n) {
    for (int64_t k = 0; k < coded.in; ++k) {
      char& byte = packed[static_cast<size_t>(n * row_bytes + k * bits / 8)];
      const int code = coded.codes[static_cast<size_t>(n * coded.in + k)];
      byte = static_cast<char>(static_cast<uint8_t>(byte) | code << (k * bits % 8));
    }
  }
  tensors.push_back(
      {absl::StrCat(name, kCodes), {coded.out, row_bytes}, {}, "U8", std::move(packed)});
  tensors.push_back({absl::StrCat(name, kScales), {coded.out, coded.groups()}, coded.scales});
  metadata[absl::StrCat(name, kFormat)] = std::string(kernels::FormatName(coded.format));
}

absl::StatusOr<StoredMatrix> Stack(StoredMatrix upper, const StoredMatrix& lower,
                                   absl::string_view what) {
  if (upper.format != lower.format || upper.group() != lower.group()) {
    const auto said = [](const StoredMatrix& m) {
      return absl::StrCat(std::string(kernels::FormatName(m.format)), " in groups of ",
                          m.group() == 0 ? m.in : m.group());
    };
    return absl::InvalidArgumentError(absl::StrCat(what, " must be stored alike, found ",
                                                   said(upper), " and ", said(lower)));
  }
  upper.out += lower.out;
  upper.weight.insert(upper.weight.end(), lower.weight.begin(), lower.weight.end());
  upper.coded.out = upper.out;
  upper.coded.codes.insert(upper.coded.codes.end(), lower.coded.codes.begin(),
                           lower.coded.codes.end());
  upper.coded.scales.insert(upper.coded.scales.end(), lower.coded.scales.begin(),
                            lower.coded.scales.end());
  return upper;
}

kernels::PackedLinear Pack(const StoredMatrix& matrix, const float* bias) {
  if (kernels::IsScaled(matrix.format)) return kernels::PackedLinear(matrix.coded, bias);
  constexpr int64_t kCached = int64_t{1} << 20;
  const bool widen = matrix.format == WeightFormat::kF16 &&
                     matrix.out * matrix.in * static_cast<int64_t>(sizeof(float)) <= kCached;
  return kernels::PackedLinear(matrix.weight.data(), bias, matrix.in, matrix.out,
                               widen ? WeightFormat::kF32 : matrix.format);
}

}  // namespace penstock::expert
