#include "router_service/quality/answer_confidence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

AnswerConfidence TwoLargest(absl::Span<const float> values) {
  AnswerConfidence top{values[0], 0.0f};
  bool have_second = false;
  for (const float value : values.subspan(1)) {
    if (value > top.first) {
      top.second = top.first;
      top.first = value;
    } else if (!have_second || value > top.second) {
      top.second = value;
    }
    have_second = true;
  }
  return top;
}

AnswerConfidence OfRow(absl::Span<const float> row) {
  bool distribution = true;
  double sum = 0;
  for (const float value : row) {
    distribution = distribution && value >= 0;
    sum += value;
  }
  if (row.size() == 1) {
    const float yes = distribution && row[0] <= 1 ? row[0] : 1.0f / (1.0f + std::exp(-row[0]));
    return {std::max(yes, 1 - yes), std::min(yes, 1 - yes)};
  }
  AnswerConfidence top = TwoLargest(row);
  if (distribution && std::abs(sum - 1) <= 0.02) return top;
  double mass = 0;
  for (const float value : row) mass += std::exp(static_cast<double>(value) - top.first);
  top.second = static_cast<float>(std::exp(static_cast<double>(top.second) - top.first) / mass);
  top.first = static_cast<float>(1 / mass);
  return top;
}

}  // namespace

absl::StatusOr<absl::InlinedVector<AnswerConfidence, 4>> ReadConfidences(const Tensor& answer) {
  if (answer.datatype != DataType::kFp32) {
    return absl::InvalidArgumentError(absl::StrCat("output \"", answer.name, "\" is ",
                                                   DataTypeName(answer.datatype),
                                                   ", wanted FP32 to read confidences from"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> values, ToFloats(answer));
  const int64_t classes = answer.shape.empty() ? 1 : answer.shape.back();
  if (values.empty() || classes <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("output \"", answer.name, "\" of shape ",
                                                   ShapeString(answer.shape), " has no rows"));
  }
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    return absl::OutOfRangeError(
        absl::StrCat("output \"", answer.name, "\" has values that are not finite"));
  }
  absl::InlinedVector<AnswerConfidence, 4> rows;
  const size_t width = static_cast<size_t>(classes);
  for (size_t at = 0; at < values.size(); at += width) {
    rows.push_back(OfRow(absl::MakeConstSpan(values).subspan(at, width)));
  }
  return rows;
}

std::array<double, 2> ConfidenceFeatures(const AnswerConfidence& confidence) {
  constexpr double kLeast = 1e-5;
  const auto held = [](double p) { return p >= kLeast ? std::min(p, 1 - kLeast) : kLeast; };
  const double first = held(confidence.first);
  const double second = held(confidence.second);
  return {std::log(first / (1 - first)), std::log(first / second)};
}

}  // namespace penstock::router
