#include <utility>

#include "router_service/combining/best_answer.h"
#include "router_service/combining/combiner.h"
#include "router_service/combining/domain_smoothing.h"
#include "router_service/combining/ranked_answers.h"
#include "router_service/combining/vote.h"
#include "router_service/combining/weighted_sum.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Combiner>> MakeCombiner(const config::v1::Pool& pool) {
  const std::string& output = pool.combined_output();
  switch (pool.combiner()) {
    case config::v1::WEIGHTED_SUM:
      return std::make_unique<const WeightedSum>(output, false);
    case config::v1::MIXTURE_OF_PROBABILITIES:
      return std::make_unique<const WeightedSum>(output, true);
    case config::v1::VOTE:
      return std::make_unique<const Vote>(output);
    case config::v1::MAJORITY:
      return std::make_unique<const Vote>(output, true);
    case config::v1::SMOOTHED_DOMAINS:
      return SmoothedDomains::Create(pool.domain_smoothing(), output);
    case config::v1::RANKED:
      return RankedAnswers::Create(pool.ranking(), output);
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
