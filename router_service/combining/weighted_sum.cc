#include "router_service/combining/weighted_sum.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/combining/answer_set.h"

namespace penstock::router {

absl::StatusOr<std::vector<Tensor>> WeightedSum::Combine(
    absl::Span<const ExpertAnswer> answers) const {
  PENSTOCK_ASSIGN_OR_RETURN(const AnswerSet set, MakeAnswerSet(answers));
  std::vector<Tensor> result = *set.answers[set.heaviest].outputs;
  const int combined = CombinedOutput(result, combined_output_);
  if (combined < 0 || result[static_cast<size_t>(combined)].datatype != DataType::kFp32) {
    return absl::InternalError(absl::StrCat(
        "expert \"", set.answers[set.heaviest].name, "\" has no FP32 output ",
        combined_output_.empty() ? "" : absl::StrCat("\"", combined_output_, "\" "), "to combine"));
  }
  if (set.answers.size() == 1) return result;
  Tensor& output = result[static_cast<size_t>(combined)];
  std::vector<float> sum;
  for (const ExpertAnswer& answer : set.answers) {
    PENSTOCK_ASSIGN_OR_RETURN(
        const std::vector<float> values,
        CheckedFloats(answer.name, (*answer.outputs)[static_cast<size_t>(combined)], mixture_));
    sum.resize(values.size(), 0.0f);
    for (size_t i = 0; i < values.size(); ++i) sum[i] += answer.weight * values[i];
  }
  if (mixture_) {
    const size_t width = output.shape.empty() ? 1 : static_cast<size_t>(output.shape.back());
    PENSTOCK_RETURN_IF_ERROR(Renormalise(absl::MakeSpan(sum), width, output.name));
  }
  output = FloatTensor(output.name, output.shape, sum);
  return result;
}

}  // namespace penstock::router
