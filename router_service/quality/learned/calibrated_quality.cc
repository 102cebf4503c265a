#include "router_service/quality/learned/calibrated_quality.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/expert_columns.h"
#include "router_service/quality/artifact_checksum.h"
#include "router_service/quality/learned/neighbour_scorer.h"
#include "router_service/quality/learned/prototype_scorer.h"
#include "router_service/quality/learned/two_layer_scorer.h"

namespace penstock::router {
namespace {

using Parameters = CalibratedQuality::Parameters;
using Kind = CalibratedQuality::Kind;

constexpr std::array<std::pair<const char*, std::vector<float> Parameters::*>, 5> kOfExperts = {{
    {"tau", &Parameters::tau},
    {"offset", &Parameters::offset},
    {"work_scale", &Parameters::work_scale},
    {"mean_quality", &Parameters::mean_quality},
    {"mean_joules", &Parameters::mean_joules},
}};

absl::StatusOr<std::unique_ptr<const LogitScorer>> ReadScorer(Kind kind, const Safetensors& file,
                                                              const std::string& path,
                                                              size_t columns, size_t experts) {
  switch (kind) {
    case Kind::kNeighbours:
      return NeighbourScorer::FromTensors(file, path, columns, experts);
    case Kind::kHiddenLayer:
      return TwoLayerScorer::FromTensors(file, path, columns, experts, /*rectified=*/true);
    case Kind::kFactorised:
      return TwoLayerScorer::FromTensors(file, path, columns, experts, /*rectified=*/false);
    case Kind::kPrototypes:
      return PrototypeScorer::FromTensors(file, path, columns, experts);
  }
  return absl::InternalError("no such kind");
}

absl::Status Check(const std::string& path, const Parameters& parameters) {
  const auto bad = [&path](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
  };
  for (size_t e = 0; e < parameters.experts.size(); ++e) {
    if (!(parameters.tau[e] > 0) || !(parameters.work_scale[e] > 0)) {
      return bad("tau or work_scale is not above 0");
    }
    if (!(parameters.mean_quality[e] >= 0 && parameters.mean_quality[e] <= 1)) {
      return bad("mean_quality is not within [0, 1]");
    }
    if (!(parameters.mean_joules[e] >= 0)) return bad("mean_joules is negative");
  }
  const FeatureWeighting& weighting = parameters.weighting;
  const auto finite = [](float value) { return std::isfinite(value); };
  for (const auto* values :
       {&weighting.idf, &weighting.dense_mean, &weighting.dense_scale, &parameters.tau,
        &parameters.offset, &parameters.work_scale, &parameters.mean_joules}) {
    if (!std::all_of(values->begin(), values->end(), finite)) {
      return bad("has numbers that are not finite");
    }
  }
  return absl::OkStatus();
}

}  // namespace

const char* CalibratedQuality::KindName(Kind kind) {
  switch (kind) {
    case Kind::kNeighbours:
      return "neighbour_quality";
    case Kind::kHiddenLayer:
      return "hidden_layer_quality";
    case Kind::kFactorised:
      return "factorised_quality";
    case Kind::kPrototypes:
      return "prototype_quality";
  }
  return "";
}

CalibratedQuality::CalibratedQuality(Parameters parameters, std::vector<size_t> at)
    : parameters_(std::move(parameters)), at_(std::move(at)) {
  for (const size_t e : at_) mean_joules_.push_back(parameters_.mean_joules[e]);
}

std::unique_ptr<const QualityModel> CalibratedQuality::FromParameters(Parameters parameters) {
  std::vector<size_t> all(parameters.experts.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return absl::WrapUnique(new const CalibratedQuality(std::move(parameters), std::move(all)));
}

void CalibratedQuality::AppendTo(Kind kind, const Parameters& parameters,
                                 std::vector<SafetensorsTensor>& tensors,
                                 std::map<std::string, std::string>& metadata) {
  metadata["kind"] = KindName(kind);
  metadata["version"] = "1";
  metadata["experts"] = ExpertsMetadata(parameters.experts);
  const int64_t experts = static_cast<int64_t>(parameters.experts.size());
  for (const auto& [name, member] : kOfExperts) {
    tensors.push_back({absl::StrCat("expert_", name), {experts}, parameters.*member});
  }
  parameters.weighting.AppendTo(tensors, metadata);
  parameters.scorer->AppendTo(tensors, metadata);
}

absl::StatusOr<std::unique_ptr<const QualityModel>> CalibratedQuality::FromTensors(
    Kind kind, const Safetensors& file, const std::string& path,
    const std::vector<std::string>& expert_names, size_t feature_dimension) {
  PENSTOCK_RETURN_IF_ERROR(CheckArtifactChecksum(file, path));
  if (const auto version = file.metadata().find("version");
      version == file.metadata().end() || version->second != "1") {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": metadata \"version\" is ",
                     version == file.metadata().end() ? "missing" : version->second,
                     ", wanted 1: train it again"));
  }
  size_t all = 0;
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<size_t> at, ExpertColumns(file, path, expert_names, all));
  Parameters parameters;
  parameters.experts.resize(all);
  PENSTOCK_ASSIGN_OR_RETURN(parameters.weighting, FeatureWeighting::FromTensors(file, path));
  if (parameters.weighting.dense_mean.size() != feature_dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": was trained on ", parameters.weighting.dense_mean.size(),
                     " dense features, but the pool's features give ", feature_dimension));
  }
  for (const auto& [name, member] : kOfExperts) {
    PENSTOCK_ASSIGN_OR_RETURN(parameters.*member, file.Floats(absl::StrCat("expert_", name),
                                                              {static_cast<int64_t>(all)}));
  }
  PENSTOCK_RETURN_IF_ERROR(Check(path, parameters));
  PENSTOCK_ASSIGN_OR_RETURN(parameters.scorer,
                            ReadScorer(kind, file, path, parameters.weighting.columns(), all));
  return absl::WrapUnique<const QualityModel>(
      new const CalibratedQuality(std::move(parameters), std::move(at)));
}

void CalibratedQuality::Predict(const FeatureView& z, const QualityPrediction& prediction) const {
  thread_local std::vector<uint32_t> columns;
  thread_local std::vector<float> values;
  thread_local LogitScores scores;
  const bool readable = parameters_.weighting.CanRead(z);
  if (readable) {
    parameters_.weighting.Apply(z, columns, values);
    parameters_.scorer->Score(columns, values, scores);
  }
  for (size_t i = 0; i < at_.size(); ++i) {
    const size_t e = at_[i];
    const float mean = parameters_.mean_quality[e];
    const bool known = readable && std::isfinite(scores.logit[e]);
    const float logit = known ? parameters_.offset[e] + scores.logit[e] / parameters_.tau[e] : 0.0f;
    const float p = known ? std::clamp(1 / (1 + std::exp(-logit)), kLeast, 1 - kLeast) : mean;
    prediction.quality[i] = p;
    if (!prediction.uncertainty.empty()) {
      // Of a request of which nothing is known: as of one with no neighbours.
      const float deviation = known ? p * (1 - p) * scores.deviation[e] / parameters_.tau[e]
                                    : std::sqrt(mean * (1 - mean) / 2);
      prediction.uncertainty[i] = std::isfinite(deviation) ? std::min(deviation, 0.5f) : 0.5f;
    }
    if (!prediction.work.empty()) {
      const float work = readable ? scores.work[e] * parameters_.work_scale[e] : 1.0f;
      prediction.work[i] = std::isfinite(work) && work > 0 ? work : 1.0f;
    }
  }
}

}  // namespace penstock::router
