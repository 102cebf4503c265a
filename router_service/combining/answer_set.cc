#include "router_service/combining/answer_set.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

bool SameShape(absl::Span<const int64_t> a, absl::Span<const int64_t> b, size_t skip) {
  if (a.size() != b.size()) return false;
  skip = std::min(skip, a.size());
  return a.subspan(skip) == b.subspan(skip);
}

}  // namespace

absl::Status CheckSameOutputs(absl::string_view expert, const std::vector<Tensor>& outputs,
                              absl::string_view wanted_expert, const std::vector<Tensor>& wanted,
                              size_t skip) {
  if (outputs.size() != wanted.size()) {
    return absl::InternalError(absl::StrCat("expert \"", expert, "\" answered ", outputs.size(),
                                            " outputs, but \"", wanted_expert, "\" ",
                                            wanted.size()));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& a = outputs[i];
    const Tensor& b = wanted[i];
    if (a.name != b.name || a.datatype != b.datatype || !SameShape(a.shape, b.shape, skip)) {
      return absl::InternalError(absl::StrCat(
          "expert \"", expert, "\" answered output ", i, " \"", a.name, "\" ",
          DataTypeName(a.datatype), " ", ShapeString(a.shape), ", but \"", wanted_expert, "\" \"",
          b.name, "\" ", DataTypeName(b.datatype), " ", ShapeString(b.shape)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<AnswerSet> MakeAnswerSet(absl::Span<const ExpertAnswer> answers) {
  if (answers.empty()) return absl::InternalError("no answer to combine");
  AnswerSet set;
  set.answers.assign(answers.begin(), answers.end());
  std::sort(set.answers.begin(), set.answers.end(),
            [](const ExpertAnswer& a, const ExpertAnswer& b) { return a.expert < b.expert; });
  double sum = 0;
  for (const ExpertAnswer& answer : set.answers) {
    if (!(answer.weight >= 0) || !std::isfinite(answer.weight)) {
      return absl::InternalError(
          absl::StrCat("weight of expert \"", answer.name, "\" is ", answer.weight));
    }
    PENSTOCK_RETURN_IF_ERROR(CheckSameOutputs(answer.name, *answer.outputs, set.answers[0].name,
                                              *set.answers[0].outputs, 0));
    sum += answer.weight;
  }
  for (size_t i = 0; i < set.answers.size(); ++i) {
    ExpertAnswer& answer = set.answers[i];
    answer.weight = sum > 0 ? static_cast<float>(answer.weight / sum)
                            : 1.0f / static_cast<float>(set.answers.size());
    if (answer.weight > set.answers[set.heaviest].weight) set.heaviest = i;
  }
  return set;
}

absl::Status Renormalise(absl::Span<float> values, size_t width, absl::string_view output) {
  for (size_t at = 0; width > 0 && at < values.size(); at += width) {
    double sum = 0;
    for (const float value : values.subspan(at, width)) sum += value;
    if (!(sum > 0) || !std::isfinite(sum)) {
      return absl::InternalError(absl::StrCat("output \"", output, "\": row ", at / width,
                                              " of the mixture sums to ", sum));
    }
    for (float& value : values.subspan(at, width)) value = static_cast<float>(value / sum);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> CheckedFloats(absl::string_view expert, const Tensor& tensor,
                                                 bool distribution) {
  absl::StatusOr<std::vector<float>> values = ToFloats(tensor);
  if (!values.ok()) {
    return absl::InternalError(
        absl::StrCat("expert \"", expert, "\": ", values.status().message()));
  }
  for (const float value : *values) {
    if (std::isfinite(value) && !(distribution && value < 0)) continue;
    const std::string message = absl::StrCat("expert \"", expert, "\": output \"", tensor.name,
                                             "\" holds ", value, ", which cannot be combined");
    // What is no number comes of inputs that are none, or too large: the caller's doing, as a rule.
    return std::isfinite(value) ? absl::InternalError(message) : absl::OutOfRangeError(message);
  }
  return values;
}

}  // namespace penstock::router
