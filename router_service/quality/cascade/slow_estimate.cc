#include "router_service/quality/cascade/slow_estimate.h"

#include <algorithm>
#include <cmath>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {

std::array<double, 5> VerificationFeatures(const Verification& row) {
  const std::array<double, 2> standing = ConfidenceFeatures(row.standing);
  const std::array<double, 2> verifier = ConfidenceFeatures(row.verifier);
  return {standing[0], standing[1], verifier[0], verifier[1], row.agreement};
}

std::vector<float> AgreementOfRows(const Tensor& standing, const Tensor& verifier) {
  if (standing.datatype != DataType::kFp32 || standing.shape != verifier.shape) return {};
  const absl::StatusOr<std::vector<float>> a = ToFloats(standing), b = ToFloats(verifier);
  const size_t width =
      standing.shape.empty() ? 1 : static_cast<size_t>(std::max<int64_t>(1, standing.shape.back()));
  std::vector<float> rows;
  if (!a.ok() || !b.ok()) return rows;
  for (size_t at = 0; at + width <= a->size(); at += width) {
    const auto pick = [&](const std::vector<float>& values) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(at);
      const auto end = begin + static_cast<std::ptrdiff_t>(width);
      if (width > 1) return std::max_element(begin, end) - begin;
      // A single entry is a probability or, outside [0, 1], a logit.
      const bool probability = *begin >= 0 && *begin <= 1;
      return static_cast<std::ptrdiff_t>(*begin > (probability ? 0.5f : 0.0f));
    };
    rows.push_back(pick(*a) == pick(*b) ? 1.0f : -1.0f);
  }
  return rows;
}

std::vector<Verification> VerificationsOf(const Tensor& standing, const Tensor& verifier) {
  const auto first = ReadConfidences(standing), second = ReadConfidences(verifier);
  std::vector<Verification> rows;
  if (!first.ok() || !second.ok() || first->size() != second->size()) return rows;
  const std::vector<float> agreement = AgreementOfRows(standing, verifier);
  for (size_t row = 0; row < first->size(); ++row) {
    const bool told = agreement.size() == first->size();
    rows.push_back({(*first)[row], (*second)[row], told ? agreement[row] : 0.0f});
  }
  return rows;
}

absl::StatusOr<std::unique_ptr<const SlowEstimate>> SlowEstimate::Read(
    const Safetensors& file, absl::string_view path, absl::Span<const size_t> columns,
    size_t in_file, const std::vector<std::string>& expert_names) {
  const int64_t size = static_cast<int64_t>(in_file);
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::vector<float> weight,
      file.Floats("slow_weight", {size, size, static_cast<int64_t>(kParameters)}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> knows, file.Floats("slow_knows", {size}));
  const auto name = file.metadata().find("verifier");
  const auto at = name == file.metadata().end()
                      ? expert_names.end()
                      : std::find(expert_names.begin(), expert_names.end(), name->second);
  if (at == expert_names.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has a slow_weight, but its metadata \"verifier\" is ",
                     name == file.metadata().end() ? "not there" : name->second,
                     ", wanted an expert of the pool"));
  }
  if (!std::all_of(weight.begin(), weight.end(), [](float v) { return std::isfinite(v); })) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": slow_weight is not finite"));
  }
  auto slow = absl::WrapUnique(new SlowEstimate());
  slow->verifier_ = static_cast<size_t>(at - expert_names.begin());
  for (const size_t standing : columns) {
    slow->knows_.push_back(knows[standing] != 0);
    for (const size_t asked : columns) {
      const auto from =
          weight.begin() + static_cast<std::ptrdiff_t>((standing * in_file + asked) * kParameters);
      slow->weight_.insert(slow->weight_.end(), from,
                           from + static_cast<std::ptrdiff_t>(kParameters));
    }
  }
  return std::unique_ptr<const SlowEstimate>(std::move(slow));
}

void SlowEstimate::Predict(size_t standing, absl::Span<const Verification> rows,
                           absl::Span<float> quality) const {
  std::fill(quality.begin(), quality.end(), 0.0f);
  for (const Verification& row : rows) {
    const std::array<double, 5> f = VerificationFeatures(row);
    for (size_t asked = 0; asked < quality.size(); ++asked) {
      const float* w = weight_.data() + (standing * quality.size() + asked) * kParameters;
      double logit = w[0];
      for (size_t i = 0; i < f.size(); ++i) logit += w[i + 1] * f[i];
      quality[asked] += static_cast<float>(1 / (1 + std::exp(-logit)));
    }
  }
  for (float& value : quality) value /= static_cast<float>(rows.size());
}

}  // namespace penstock::router
