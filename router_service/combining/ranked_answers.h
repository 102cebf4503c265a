#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router_service/combining/combiner.h"
#include "router_service/combining/ranking_model.h"

namespace penstock::router {

// The answer that a ranking model scores highest, as it is; of equals the heavier, then the lower
// expert. The answer's text is the combined output, or the first BYTES one, its values joined by
// line feeds.
class RankedAnswers final : public Combiner {
 public:
  static absl::StatusOr<std::unique_ptr<const Combiner>> Create(const config::v1::Ranking& config,
                                                                std::string combined_output);
  RankedAnswers(LoadedRanking ranking, std::string combined_output)
      : ranking_(std::move(ranking)), combined_output_(std::move(combined_output)) {}

  absl::StatusOr<std::vector<Tensor>> Combine(
      absl::Span<const ExpertAnswer> answers) const override;
  absl::StatusOr<std::vector<Tensor>> CombineFor(absl::string_view prompt,
                                                 absl::Span<const ExpertAnswer> answers,
                                                 std::vector<AnswerParts>& parts) const override;

 private:
  const LoadedRanking ranking_;
  const std::string combined_output_;
};

}  // namespace penstock::router
