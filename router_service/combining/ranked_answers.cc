#include "router_service/combining/ranked_answers.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/combining/answer_set.h"

namespace penstock::router {
namespace {

absl::StatusOr<std::string> TextOf(const ExpertAnswer& answer, absl::string_view output) {
  for (const Tensor& tensor : *answer.outputs) {
    const bool found = output.empty() ? tensor.datatype == DataType::kBytes : tensor.name == output;
    if (!found) continue;
    const auto strings = ToStrings(tensor);
    if (!strings.ok()) {
      return absl::InternalError(
          absl::StrCat("expert \"", answer.name, "\": ", strings.status().message()));
    }
    return absl::StrJoin(*strings, "\n");
  }
  return absl::InternalError(
      absl::StrCat("expert \"", answer.name, "\" has no BYTES output to rank"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Combiner>> RankedAnswers::Create(
    const config::v1::Ranking& config, std::string combined_output) {
  absl::StatusOr<LoadedRanking> loaded = ReadRankingModel(config.file());
  if (!loaded.ok()) {
    return absl::Status(loaded.status().code(),
                        absl::StrCat("ranking.file: ", loaded.status().message()));
  }
  if (config.has_temperature()) {
    if (!(config.temperature() > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("ranking.temperature is ", config.temperature(), ", wanted above 0"));
    }
    loaded->model.temperature = config.temperature();
  }
  return std::make_unique<const RankedAnswers>(*std::move(loaded), std::move(combined_output));
}

absl::StatusOr<std::vector<Tensor>> RankedAnswers::Combine(
    absl::Span<const ExpertAnswer> answers) const {
  std::vector<AnswerParts> parts;
  return CombineFor("", answers, parts);
}

absl::StatusOr<std::vector<Tensor>> RankedAnswers::CombineFor(
    absl::string_view prompt, absl::Span<const ExpertAnswer> answers,
    std::vector<AnswerParts>& parts) const {
  if (answers.empty()) return absl::InternalError("no answer to combine");
  const RankingModel& model = ranking_.model;
  const std::vector<double> weights = model.Weights(ranking_.features.Prompt(prompt));
  const ExpertAnswer* best = nullptr;
  double best_score = 0;
  for (const ExpertAnswer& answer : answers) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string text, TextOf(answer, combined_output_));
    const std::vector<double> of_objectives =
        model.Contributions(weights, model.Rewards(ranking_.features.Answer(prompt, text)));
    AnswerParts& told = parts.emplace_back();
    told.expert = answer.expert;
    for (size_t k = 0; k < of_objectives.size(); ++k) {
      told.parts.emplace_back(model.objectives[k], of_objectives[k]);
    }
    const double score = std::accumulate(of_objectives.begin(), of_objectives.end(), 0.0);
    const bool first = best == nullptr || score > best_score;
    const bool tie = best != nullptr && score == best_score &&
                     (answer.weight > best->weight ||
                      (answer.weight == best->weight && answer.expert < best->expert));
    if (!first && !tie) continue;
    best = &answer;
    best_score = score;
  }
  return *best->outputs;
}

}  // namespace penstock::router
