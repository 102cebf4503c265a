#include "router_service/learning/text/text_trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <set>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/features/text_features.h"
#include "router_service/learning/prediction_metrics.h"
#include "router_service/learning/text/hashed_linear_trainer.h"
#include "router_service/learning/text/scorer_trainer.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {
namespace {

// Of the jackknife: enough for an error known to a sixth.
constexpr int kBlocks = 20;
constexpr size_t kLeastRows = 20;
// Of the flip rate: 4,000 tries, one in a thousand known to half.
constexpr size_t kPromptsForFlips = 500;

std::vector<float> MeanCosts(const TextOutcomes& outcomes) {
  std::vector<float> means;
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    double sum = 0, count = 0;
    for (size_t row = 0; row < outcomes.rows(); ++row) {
      const float cost = outcomes.cost[outcomes.At(e, row)];
      if (std::isnan(cost)) continue;
      sum += cost;
      count += 1;
    }
    means.push_back(count > 0 ? static_cast<float>(sum / count) : 0.0f);
  }
  return means;
}

// The rows for which keep[row] is true, [experts, kept].
std::vector<float> Kept(const std::vector<float>& values, size_t experts,
                        const std::vector<uint8_t>& keep) {
  std::vector<float> result;
  result.reserve(values.size());
  for (size_t e = 0; e < experts; ++e) {
    for (size_t row = 0; row < keep.size(); ++row) {
      if (keep[row]) result.push_back(values[e * keep.size() + row]);
    }
  }
  return result;
}

double BrierOf(const TextOutcomes& outcomes, const OutOfFold& predicted,
               const std::vector<uint8_t>& keep) {
  double sum = 0, count = 0;
  for (size_t at = 0; at < outcomes.quality.size(); ++at) {
    if (!keep[at % outcomes.rows()] || std::isnan(outcomes.quality[at])) continue;
    const double off = predicted.quality[at] - outcomes.quality[at];
    sum += off * off;
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

double JackknifeError(const std::vector<double>& without) {
  const double blocks = static_cast<double>(without.size());
  const double mean = std::accumulate(without.begin(), without.end(), 0.0) / blocks;
  double squares = 0;
  for (const double value : without) squares += (value - mean) * (value - mean);
  return std::sqrt(squares * (blocks - 1) / blocks);
}

struct Measured {
  ContenderReport report;
  OutOfFold predicted;
  double score = 0;  // larger is better
  double score_error = 0;
};

void Measure(const TextOutcomes& outcomes, Measured& measured) {
  const size_t experts = outcomes.experts.size(), rows = outcomes.rows();
  const std::vector<float> means = MeanCosts(outcomes);
  std::vector<float> cost(experts * rows);
  for (size_t at = 0; at < cost.size(); ++at) {
    cost[at] = means[at / rows] * measured.predicted.work[at];
  }
  const bool priced = outcomes.compares_costs();
  const std::vector<uint8_t> all(rows, 1);
  ContenderReport& report = measured.report;
  report.brier = BrierOf(outcomes, measured.predicted, all);
  report.log_loss = LogLoss(measured.predicted.quality, outcomes.quality);
  if (priced) {
    report.figures = MeasureRouting({experts, outcomes.quality, outcomes.cost},
                                    measured.predicted.quality, cost);
    report.gain = report.figures.aiq - report.figures.singles_aiq;
  }
  std::vector<int> block;
  for (const std::string& group : outcomes.groups) {
    block.push_back(FoldOf(absl::StrCat("block|", group), kBlocks));
  }
  std::vector<double> aiq, gain, brier;
  for (int out = 0; out < kBlocks; ++out) {
    std::vector<uint8_t> keep(rows);
    for (size_t row = 0; row < rows; ++row) keep[row] = block[row] != out;
    brier.push_back(-BrierOf(outcomes, measured.predicted, keep));
    if (!priced) continue;
    const std::vector<float> quality = Kept(outcomes.quality, experts, keep);
    const std::vector<float> true_cost = Kept(outcomes.cost, experts, keep);
    const RoutingFigures figures =
        MeasureRouting({experts, quality, true_cost},
                       Kept(measured.predicted.quality, experts, keep), Kept(cost, experts, keep));
    aiq.push_back(figures.aiq);
    gain.push_back(figures.aiq - figures.singles_aiq);
  }
  if (priced) {
    report.aiq_error = JackknifeError(aiq);
    report.gain_error = JackknifeError(gain);
  }
  measured.score = priced ? report.figures.aiq : -report.brier;
  measured.score_error = priced ? report.aiq_error : JackknifeError(brier);
}

// The simplest within one standard error of the best.
size_t Choose(const std::vector<Measured>& all) {
  size_t best = 0;
  for (size_t i = 1; i < all.size(); ++i) {
    if (all[i].score > all[best].score) best = i;
  }
  size_t chosen = best;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].score >= all[best].score - all[best].score_error &&
        all[i].report.complexity < all[chosen].report.complexity) {
      chosen = i;
    }
  }
  return chosen;
}

std::string Why(const std::vector<Measured>& all, size_t chosen, bool priced) {
  if (all.size() == 1) return absl::StrCat(all[0].report.name, " was asked for");
  const std::string criterion = priced ? "average quality over cost" : "Brier score";
  const auto figure = [priced](double score) {
    return absl::StrFormat("%.4g", priced ? 100 * score : -score);
  };
  const size_t best = static_cast<size_t>(
      std::max_element(all.begin(), all.end(),
                       [](const Measured& a, const Measured& b) { return a.score < b.score; }) -
      all.begin());
  const std::string of_best =
      absl::StrCat(figure(all[best].score), " of ", all[best].report.name, ", the best");
  if (chosen == best) {
    return absl::StrCat(all[best].report.name, ": its ", criterion, ", ", figure(all[best].score),
                        ", is the best, and nothing simpler is within one standard error, ",
                        absl::StrFormat("%.2g", (priced ? 100 : 1) * all[best].score_error),
                        ", of it");
  }
  return absl::StrCat(
      all[chosen].report.name, ": its ", criterion, ", ", figure(all[chosen].score),
      ", is within one standard error, ",
      absl::StrFormat("%.2g", (priced ? 100 : 1) * all[best].score_error), ", of ", of_best,
      ", and it is the simplest that is (", absl::StrFormat("%.3g", all[chosen].report.complexity),
      " numbers; ", absl::StrFormat("%.3g", all[best].report.complexity), ")");
}

void DescribeExperts(const TextOutcomes& outcomes, const OutOfFold& predicted,
                     TextTrainReport& report) {
  const size_t rows = outcomes.rows();
  const std::vector<float> lengths = AnswerLengths(outcomes), means = MeanCosts(outcomes);
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    TextExpertReport expert;
    expert.name = outcomes.experts[e];
    const auto labels = absl::MakeConstSpan(outcomes.quality).subspan(e * rows, rows);
    expert.fit =
        FitOf(absl::MakeConstSpan(predicted.quality).subspan(e * rows, rows), labels);
    expert.mean_cost = means[e];
    double right = 0, tokens = 0, told = 0, log_mean = 0, told_tokens = 0;
    for (size_t row = 0; row < rows; ++row) {
      const size_t at = outcomes.At(e, row);
      if (!std::isnan(outcomes.quality[at])) {
        ++expert.rows;
        right += outcomes.quality[at];
      }
      if (!std::isnan(outcomes.out_tokens[at])) {
        tokens += outcomes.out_tokens[at];
        told_tokens += 1;
      }
      if (std::isnan(lengths[at])) continue;
      log_mean += std::log(lengths[at] + kLengthOffset);
      told += 1;
    }
    expert.quality = right / static_cast<double>(expert.rows);
    expert.mean_tokens = told_tokens > 0 ? tokens / told_tokens : 0;
    if (told > 1) {
      // A constant factor of the work is an offset of its logarithm, which is not the prompt's.
      double work_mean = 0, off = 0, spread = 0;
      for (size_t row = 0; row < rows; ++row) {
        const size_t at = outcomes.At(e, row);
        if (!std::isnan(lengths[at])) work_mean += std::log(predicted.work[at]);
      }
      for (size_t row = 0; row < rows; ++row) {
        const size_t at = outcomes.At(e, row);
        if (std::isnan(lengths[at])) continue;
        const double is = std::log(lengths[at] + kLengthOffset) - log_mean / told;
        const double said = std::log(predicted.work[at]) - work_mean / told;
        off += (is - said) * (is - said);
        spread += is * is;
      }
      expert.length_explained = spread > 0 ? 1 - off / spread : 0;
    }
    if (expert.quality == 0 || expert.quality == 1) {
      report.warnings.push_back(absl::StrCat("expert \"", expert.name, "\" is ",
                                             expert.quality == 1 ? "right" : "wrong",
                                             " on every row: nothing to learn from"));
    } else if (expert.fit.ece > 0.05) {
      report.warnings.push_back(absl::StrCat("expert \"", expert.name,
                                             "\" has a calibration error of ", expert.fit.ece));
    }
    report.experts.push_back(std::move(expert));
  }
}

void DescribePoints(const TextOutcomes& outcomes, const OutOfFold& predicted,
                    TextTrainReport& report) {
  const size_t experts = outcomes.experts.size(), rows = outcomes.rows();
  const std::vector<float> means = MeanCosts(outcomes);
  std::vector<float> cost(experts * rows);
  for (size_t at = 0; at < cost.size(); ++at) cost[at] = means[at / rows] * predicted.work[at];
  const RecordedOutcomes recorded{experts, outcomes.quality, outcomes.cost};
  std::vector<CostQuality> singles, routed, oracle;
  for (size_t e = 0; e < experts; ++e) singles.push_back(recorded.Mean(e));
  const CostQuality cheapest = *std::min_element(
      singles.begin(), singles.end(),
      [](const CostQuality& a, const CostQuality& b) { return a.cost < b.cost; });
  routed.push_back(cheapest);
  oracle.push_back(cheapest);
  for (const SweptPoint& point : SweepPrices(recorded, predicted.quality, cost)) {
    routed.push_back(point.mean);
  }
  for (const SweptPoint& point : SweepPrices(recorded, outcomes.quality, outcomes.cost)) {
    oracle.push_back(point.mean);
  }
  const CostQualityFrontier of_singles(singles), of_router(routed), of_oracle(oracle);
  const double dearest = report.chosen().figures.best_cost;
  for (const double share : {0.1, 0.25, 0.5, 0.75, 0.9, 1.0}) {
    if (share * dearest < cheapest.cost) continue;
    report.points.push_back({share, of_router.QualityAt(share * dearest),
                             of_singles.QualityAt(share * dearest),
                             of_oracle.QualityAt(share * dearest)});
  }
}

absl::StatusOr<FlipRate> FlipsOf(const std::vector<std::string>& prompts,
                                 const config::v1::TextFeatures& settings,
                                 const QualityModel& model) {
  PENSTOCK_ASSIGN_OR_RETURN(const TextFeatures features, TextFeatures::FromSettings(settings));
  FeatureBuffer buffer;
  std::vector<float> quality(model.experts());
  return MeasureFlipRate(
      prompts,
      [&](absl::string_view prompt) {
        features.ExtractText(prompt, buffer);
        model.Predict(buffer.view(), absl::MakeSpan(quality));
        return static_cast<size_t>(std::max_element(quality.begin(), quality.end()) -
                                   quality.begin());
      },
      /*seed=*/1);
}

std::string PoolYaml(const TextTrainOptions& options, const std::string& path) {
  const config::v1::TextFeatures& text = options.outcomes.features;
  std::string fields;
  const auto add = [&fields](absl::string_view field) {
    absl::StrAppend(&fields, fields.empty() ? "" : ", ", field);
  };
  if (!text.input().empty()) add(absl::StrCat("input: ", text.input()));
  if (!text.parameter().empty()) add(absl::StrCat("parameter: ", text.parameter()));
  if (text.has_bits()) add(absl::StrCat("bits: ", text.bits()));
  if (text.has_character_ngrams()) add(absl::StrCat("character_ngrams: ", text.character_ngrams()));
  if (text.surface()) add("surface: true");
  if (text.fold_compatibility()) add("fold_compatibility: true");
  if (text.has_max_bytes()) add(absl::StrCat("max_bytes: ", text.max_bytes()));
  if (text.has_embeddings()) {
    add(absl::StrCat("embeddings: {folder: ", text.embeddings().folder(),
                     text.embeddings().alone() ? ", alone: true}" : "}"));
  }
  return absl::StrCat("  features: {text: {", fields, "}}\n  quality_file: ", path, "\n");
}

absl::Status Write(const TextTrainOptions& options, const TextOutcomes& outcomes,
                   FittedQuality fitted, TextTrainReport& report) {
  if (fitted.tensors.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("model ", report.chosen().name, " cannot be written to a file"));
  }
  std::error_code error;
  std::filesystem::create_directories(options.output_folder, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("output_folder ", options.output_folder,
                                                   " cannot be made: ", error.message()));
  }
  const std::string path =
      (std::filesystem::path(options.output_folder) / "quality.safetensors").string();
  PENSTOCK_ASSIGN_OR_RETURN(fitted.metadata["features"],
                            ReadTextFeaturesMetadata(options.outcomes.features));
  fitted.metadata["model"] = report.chosen().name;
  fitted.metadata["date"] = options.date;
  fitted.metadata["rows"] = absl::StrCat(outcomes.rows());
  fitted.metadata["cost_unit"] = outcomes.cost_unit;
  fitted.metadata["out_of_fold_brier"] = absl::StrCat(report.chosen().brier);
  if (outcomes.compares_costs()) {
    fitted.metadata["out_of_fold_aiq"] = absl::StrCat(report.chosen().figures.aiq);
    fitted.metadata["singles_aiq"] = absl::StrCat(report.chosen().figures.singles_aiq);
  }
  fitted.metadata["checksum"] = ArtifactChecksum(fitted.tensors);
  PENSTOCK_RETURN_IF_ERROR(WriteSafetensors(path, fitted.tensors, fitted.metadata));
  report.files.push_back(path);
  report.pool_yaml = PoolYaml(options, path);
  return absl::OkStatus();
}

absl::Status Check(const TextTrainOptions& options,
                   const std::vector<std::unique_ptr<QualityTrainer>>& trainers) {
  if (options.folds < 2 || options.folds > 100) {
    return absl::InvalidArgumentError(
        absl::StrCat("folds is ", options.folds, ", wanted [2, 100]"));
  }
  std::vector<std::string> names = {"auto"};
  for (const auto& trainer : trainers) names.push_back(trainer->name());
  if (std::find(names.begin(), names.end(), options.model) == names.end()) {
    return absl::InvalidArgumentError(absl::StrCat("model is \"", options.model, "\", wanted ",
                                                   absl::StrJoin(names, ", ")));
  }
  std::set<std::string> distinct(options.outcomes.experts.begin(), options.outcomes.experts.end());
  if (distinct.size() != options.outcomes.experts.size()) {
    return absl::InvalidArgumentError("experts: a name stands twice");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::unique_ptr<QualityTrainer>> MakeQualityTrainers() {
  std::vector<std::unique_ptr<QualityTrainer>> trainers;
  trainers.push_back(MakeMeanTrainer());
  trainers.push_back(std::make_unique<HashedLinearTrainer>());
  trainers.push_back(MakeNeighbourTrainer());
  trainers.push_back(MakeHiddenLayerTrainer());
  trainers.push_back(MakeFactorisedTrainer());
  return trainers;
}

absl::StatusOr<TextTrainReport> TrainText(
    const TextTrainOptions& options,
    const std::vector<std::unique_ptr<QualityTrainer>>& trainers,
    const std::function<double()>& seconds) {
  TextOutcomesSource source = options.outcomes;
  source.keep_prompts = kPromptsForFlips;
  PENSTOCK_RETURN_IF_ERROR(Check(options, trainers));
  PENSTOCK_ASSIGN_OR_RETURN(const TextOutcomes outcomes, ReadTextOutcomes(source));
  return TrainTextOn(options, outcomes, trainers, seconds);
}

absl::StatusOr<TextTrainReport> TrainTextOn(
    const TextTrainOptions& options, const TextOutcomes& outcomes,
    const std::vector<std::unique_ptr<QualityTrainer>>& trainers,
    const std::function<double()>& seconds) {
  PENSTOCK_RETURN_IF_ERROR(Check(options, trainers));
  std::vector<const QualityTrainer*> contenders;
  for (const auto& trainer : trainers) {
    if (options.model == "auto" || options.model == trainer->name()) {
      contenders.push_back(trainer.get());
    }
  }
  if (outcomes.rows() < kLeastRows) {
    return absl::InvalidArgumentError(absl::StrCat(options.outcomes.file, " has ", outcomes.rows(),
                                                   " outcomes, wanted at least ", kLeastRows));
  }
  TextTrainReport report;
  report.rows = outcomes.rows();
  report.groups = std::set<std::string>(outcomes.groups.begin(), outcomes.groups.end()).size();
  report.bad_rows = outcomes.bad_rows;
  report.bad = outcomes.bad;
  report.folds = options.folds;
  if (outcomes.compares_costs()) report.cost_unit = outcomes.cost_unit;
  std::vector<uint8_t> seen(outcomes.counts.columns, 0);
  for (const uint32_t column : outcomes.counts.column) seen[column] = 1;
  report.columns = static_cast<size_t>(std::count(seen.begin(), seen.end(), 1));
  if (outcomes.partial) {
    report.warnings.push_back(
        "a log of decisions tells of one expert a request: models are compared by Brier score, and "
        "no figure over cost is given");
  } else if (outcomes.cost_unit.empty()) {
    report.warnings.push_back(
        "no joules, out_tokens or seconds are told wherever a quality is: models are compared by "
        "Brier score, and no figure over cost is given");
  }
  if (report.groups == report.rows && report.rows > 1000) {
    report.warnings.push_back(
        "every prompt is a group of its own: near-duplicates without a common \"group\" make the "
        "figures look better than they are");
  }

  std::vector<int> fold;
  for (const std::string& group : outcomes.groups) fold.push_back(FoldOf(group, options.folds));
  std::vector<Measured> measured;
  std::vector<const QualityTrainer*> fitted_ones;
  for (const QualityTrainer* trainer : contenders) {
    const double start = seconds();
    absl::StatusOr<OutOfFold> predicted = trainer->CrossValidate(outcomes, fold, options.folds);
    // A table may not tell what one of several models learns from.
    if (absl::IsFailedPrecondition(predicted.status()) && contenders.size() > 1) {
      report.warnings.push_back(absl::StrCat(predicted.status().message(), ": left out"));
      continue;
    }
    PENSTOCK_RETURN_IF_ERROR(predicted.status());
    fitted_ones.push_back(trainer);
    Measured& item = measured.emplace_back();
    item.predicted = *std::move(predicted);
    item.report.name = trainer->name();
    item.report.complexity = trainer->complexity(outcomes);
    item.report.seconds = seconds() - start;
    item.report.notes = item.predicted.notes;
    Measure(outcomes, item);
  }
  if (measured.empty()) {
    return absl::FailedPreconditionError("the table tells nothing that a model learns from");
  }
  const size_t chosen = Choose(measured);
  measured[chosen].report.chosen = true;
  report.why = Why(measured, chosen, outcomes.compares_costs());
  for (const Measured& item : measured) report.contenders.push_back(item.report);
  DescribeExperts(outcomes, measured[chosen].predicted, report);
  if (outcomes.compares_costs()) {
    DescribePoints(outcomes, measured[chosen].predicted, report);
  }
  if (options.output_folder.empty()) return report;
  std::vector<size_t> rows(outcomes.rows());
  std::iota(rows.begin(), rows.end(), size_t{0});
  PENSTOCK_ASSIGN_OR_RETURN(FittedQuality fitted, fitted_ones[chosen]->Fit(outcomes, rows));
  if (!outcomes.prompts.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(
        report.flip_rate, FlipsOf(outcomes.prompts, options.outcomes.features, *fitted.model));
  }
  PENSTOCK_RETURN_IF_ERROR(Write(options, outcomes, std::move(fitted), report));
  return report;
}

}  // namespace penstock::router
