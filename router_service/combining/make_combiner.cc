#include <utility>

#include "router_service/combining/best_answer.h"
#include "router_service/combining/combiner.h"
#include "router_service/combining/vote.h"
#include "router_service/combining/weighted_sum.h"

namespace penstock::router {

std::unique_ptr<const Combiner> MakeCombiner(config::v1::Combiner kind,
                                             std::string combined_output) {
  switch (kind) {
    case config::v1::WEIGHTED_SUM:
      return std::make_unique<const WeightedSum>(std::move(combined_output), false);
    case config::v1::MIXTURE_OF_PROBABILITIES:
      return std::make_unique<const WeightedSum>(std::move(combined_output), true);
    case config::v1::VOTE:
      return std::make_unique<const Vote>(std::move(combined_output));
    case config::v1::BEST:
    case config::v1::Combiner_INT_MIN_SENTINEL_DO_NOT_USE_:
    case config::v1::Combiner_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return std::make_unique<const BestAnswer>();
}

int CombinedOutput(absl::Span<const Tensor> outputs, absl::string_view combined_output) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const bool found = combined_output.empty() ? outputs[i].datatype == DataType::kFp32
                                               : outputs[i].name == combined_output;
    if (found) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace penstock::router
