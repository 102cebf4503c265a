#include "router_service/gating/sparse/phatgoose_gate.h"
#include "router_service/quality/artifact_checksum.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "router_service/gating/sparse/dot.h"
#include "router_service/gating/sparse/gate_file.h"

namespace penstock::router {
namespace {

// One expert's published vector.
absl::StatusOr<std::vector<float>> PublishedVector(const std::string& path, size_t dimension) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, OpenArtifact(path));
  const auto kind = file->metadata().find("kind");
  if (kind == file->metadata().end() || kind->second != "phatgoose_vector") {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": metadata \"kind\" is \"", kind == file->metadata().end() ? "" : kind->second,
        "\", wanted \"phatgoose_vector\""));
  }
  auto vector = file->Floats("vector", {static_cast<int64_t>(dimension)});
  if (!vector.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", vector.status().message()));
  }
  return vector;
}

}  // namespace

std::vector<double> StandardScores(absl::Span<const double> v) {
  std::vector<double> scores(v.begin(), v.end());
  if (v.empty()) return scores;
  const double count = static_cast<double>(v.size());
  const double mean = std::accumulate(v.begin(), v.end(), 0.0) / count;
  double variance = 0, largest = 0;
  for (const double x : v) {
    variance += (x - mean) * (x - mean) / count;
    largest = std::max(largest, std::abs(x));
  }
  const double deviation = std::sqrt(variance);
  // Entries carry fp32's 24 bits: a deviation below that is rounding.
  const double inverse = deviation > 1e-7 * largest ? 1 / deviation : 0;
  for (double& score : scores) score = (score - mean) * inverse;
  return scores;
}

double PhatgooseScore(absl::Span<const double> v, absl::Span<const double> u) {
  if (v.empty()) return 0;
  return Dot(v.data(), u.data(), v.size()) / std::sqrt(static_cast<double>(v.size()));
}

absl::Status PhatgooseGate::Register(size_t expert, const std::string& path,
                                     absl::Span<const float> vector) {
  vectors_[expert] = StandardScores(std::vector<double>(vector.begin(), vector.end()));
  const double* scores = vectors_[expert].data();
  const double square = Dot(scores, scores, vectors_[expert].size());
  if (square > 0 && std::isfinite(square)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": an expert's vector has entries that do not vary or are not finite"));
}

absl::StatusOr<std::unique_ptr<const Gate>> PhatgooseGate::Create(
    const config::v1::Phatgoose& config, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  const size_t experts = expert_names.size(), d = feature_dimension;
  const size_t k = config.has_k() ? config.k() : std::min<size_t>(2, experts);
  auto gate = absl::WrapUnique(new PhatgooseGate(experts, d, k));
  gate->vectors_.resize(experts);
  std::vector<std::string> of_file;
  std::vector<size_t> place;
  for (size_t i = 0; i < experts; ++i) {
    const auto own = config.vectors().find(expert_names[i]);
    if (own == config.vectors().end()) {
      of_file.push_back(expert_names[i]);
      place.push_back(i);
      continue;
    }
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> vector, PublishedVector(own->second, d));
    PENSTOCK_RETURN_IF_ERROR(gate->Register(i, own->second, vector));
  }
  if (config.file().empty()) return std::unique_ptr<const Gate>(std::move(gate));
  PENSTOCK_ASSIGN_OR_RETURN(const GateFile file,
                            GateFile::Open(config.file(), "phatgoose", of_file));
  PENSTOCK_ASSIGN_OR_RETURN(const LinearHeads vectors,
                            file.Heads("vectors", {static_cast<int64_t>(file.experts())}, d));
  for (size_t at = 0; at < place.size(); ++at) {
    PENSTOCK_RETURN_IF_ERROR(
        gate->Register(place[at], config.file(),
                       absl::MakeConstSpan(vectors.weight).subspan(file.columns()[at] * d, d)));
  }
  if (file.Has("mean")) {
    const int64_t width = static_cast<int64_t>(d);
    PENSTOCK_ASSIGN_OR_RETURN(gate->mean_, file.Tensor("mean", {width}));
    PENSTOCK_ASSIGN_OR_RETURN(gate->inverse_scale_, file.Tensor("inverse_scale", {width}));
  }
  return std::unique_ptr<const Gate>(std::move(gate));
}

void PhatgooseGate::Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                         absl::Span<double> scores) const {
  std::vector<double> u(z.begin(), z.end());
  for (size_t j = 0; j < u.size() && !mean_.empty(); ++j) {
    u[j] = (u[j] - mean_[j]) * inverse_scale_[j];
  }
  u = StandardScores(u);
  for (size_t i = 0; i < scores.size(); ++i) {
    if (Admits(admissible, i)) scores[i] = PhatgooseScore(vectors_[i], u);
  }
}

}  // namespace penstock::router
