#include "router_service/quality/learned/neighbour_scorer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/quality/learned/sparse_rows_file.h"

namespace penstock::router {
namespace {

// Beyond them a probability's logit says more than neighbours can.
constexpr double kLeast = 1e-3;

}  // namespace

absl::StatusOr<std::unique_ptr<const LogitScorer>> NeighbourScorer::Create(SparseRows rows,
                                                                           Labels labels) {
  PENSTOCK_ASSIGN_OR_RETURN(NeighbourIndex index, NeighbourIndex::Build(std::move(rows)));
  std::string graph;
  if (index.graph() != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(graph, index.graph()->Bytes());
  }
  return std::make_unique<const NeighbourScorer>(std::move(index), std::move(labels),
                                                 std::move(graph));
}

void NeighbourScorer::Score(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                            LogitScores& scores) const {
  thread_local std::vector<Neighbour> found;
  index_.Find(columns, values, labels_.k, found);
  const size_t rows = index_.rows().rows();
  scores.logit.assign(experts(), 0.0f);
  scores.deviation.assign(experts(), 0.0f);
  scores.work.assign(experts(), 1.0f);
  for (size_t e = 0; e < experts(); ++e) {
    const NeighbourLabel label =
        ShrunkenMean(found, absl::MakeConstSpan(labels_.quality).subspan(e * rows, rows),
                     labels_.prior[e], kPriorWeight, kTemperature);
    const double mean = std::clamp(label.mean, kLeast, 1 - kLeast);
    scores.logit[e] = static_cast<float>(std::log(mean / (1 - mean)));
    scores.deviation[e] = static_cast<float>(label.deviation / (mean * (1 - mean)));
    if (labels_.work.empty()) continue;
    scores.work[e] = static_cast<float>(
        ShrunkenMean(found, absl::MakeConstSpan(labels_.work).subspan(e * rows, rows), 1,
                     kPriorWeight, kTemperature)
            .mean);
  }
}

void NeighbourScorer::AppendTo(std::vector<SafetensorsTensor>& tensors,
                               std::map<std::string, std::string>& metadata) const {
  const int64_t count = static_cast<int64_t>(index_.rows().rows());
  const int64_t all = static_cast<int64_t>(experts());
  metadata["neighbours"] = absl::StrCat(labels_.k);
  AppendRows(index_.rows(), "row", tensors);
  tensors.push_back({"prior", {all}, labels_.prior});
  tensors.push_back({"quality", {all, count}, labels_.quality});
  if (!labels_.work.empty()) tensors.push_back({"work", {all, count}, labels_.work});
  if (!graph_.empty()) {
    tensors.push_back({"graph", {static_cast<int64_t>(graph_.size())}, {}, "U8", graph_});
  }
}

absl::StatusOr<std::unique_ptr<const LogitScorer>> NeighbourScorer::FromTensors(
    const Safetensors& file, const std::string& path, size_t columns, size_t experts) {
  const auto bad = [&path](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
  };
  PENSTOCK_ASSIGN_OR_RETURN(SparseRows rows, ReadRows(file, path, "row", columns));
  const int64_t all = static_cast<int64_t>(experts), count = static_cast<int64_t>(rows.rows());
  Labels labels;
  const auto said = file.metadata().find("neighbours");
  uint32_t k = 0;
  if (said == file.metadata().end() || !absl::SimpleAtoi(said->second, &k) || k == 0) {
    return bad("metadata \"neighbours\" is no number above 0");
  }
  labels.k = k;
  PENSTOCK_ASSIGN_OR_RETURN(labels.prior, file.Floats("prior", {all}));
  PENSTOCK_ASSIGN_OR_RETURN(labels.quality, file.Floats("quality", {all, count}));
  if (file.Find("work") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(labels.work, file.Floats("work", {all, count}));
  }
  for (const float prior : labels.prior) {
    if (!(prior >= 0 && prior <= 1)) return bad("prior is not within [0, 1]");
  }
  for (const float quality : labels.quality) {
    if (quality < 0 || quality > 1) return bad("quality is not within [0, 1]");
  }
  const Safetensors::Entry* graph = file.Find("graph");
  auto index = NeighbourIndex::WithGraph(std::move(rows), graph == nullptr ? "" : graph->data);
  if (!index.ok()) return bad(index.status().message());
  return std::make_unique<const NeighbourScorer>(*std::move(index), std::move(labels), "");
}

}  // namespace penstock::router
