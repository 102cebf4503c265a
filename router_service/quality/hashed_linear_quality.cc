#include "router_service/quality/hashed_linear_quality.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/memory/memory.h"

namespace penstock::router {
namespace {

std::vector<float> Taken(const std::vector<float>& values, absl::Span<const size_t> experts) {
  std::vector<float> result;
  result.reserve(experts.size());
  for (const size_t expert : experts) result.push_back(values[expert]);
  return result;
}

}  // namespace

float HashedLinearQuality::Bounded(float score) {
  constexpr float kFrom = static_cast<float>(kKnee), kWidth = static_cast<float>(kKnee - kLeast);
  // x / (1 + x) of how far beyond, in widths: of slope 1 where it begins.
  const auto bent = [](float beyond) { return kWidth * beyond / (kWidth + beyond); };
  if (score > 1 - kFrom) return 1 - kFrom + bent(score - (1 - kFrom));
  if (score < kFrom) return kFrom - bent(kFrom - score);
  return score;
}

std::unique_ptr<const QualityModel> HashedLinearQuality::FromParameters(
    const Parameters& parameters) {
  std::vector<size_t> all(parameters.experts.size());
  std::iota(all.begin(), all.end(), size_t{0});
  auto model = absl::WrapUnique(new HashedLinearQuality());
  model->TakeExperts(parameters, all);
  model->weight_ = parameters.weight;
  return model;
}

void HashedLinearQuality::TakeExperts(const Parameters& parameters,
                                      absl::Span<const size_t> experts) {
  buckets_ = parameters.buckets;
  places_ = parameters.columns.size();
  dense_mean_ = parameters.dense_mean;
  dense_scale_ = parameters.dense_scale;
  place_of_.assign(buckets_ + dense_mean_.size(), static_cast<uint32_t>(places_));
  for (size_t place = 0; place < places_; ++place) {
    place_of_[parameters.columns[place]] = static_cast<uint32_t>(place);
  }
  idf_ = parameters.idf;
  idf_.push_back(parameters.idf_unseen);
  for (const float square : parameters.squares) {
    inverse_.push_back(static_cast<float>(1 / (square + parameters.lambda)));
  }
  inverse_.push_back(static_cast<float>(1 / parameters.lambda));
  mean_ = Taken(parameters.mean, experts);
  residual_ = Taken(parameters.residual, experts);
  length_mean_ = Taken(parameters.length_mean, experts);
  work_scale_ = Taken(parameters.work_scale, experts);
  mean_quality_ = Taken(parameters.mean_quality, experts);
  mean_joules_ = Taken(parameters.mean_joules, experts);
}

void HashedLinearQuality::AddColumn(size_t place, float value, float* __restrict heads) const {
  const size_t width = 2 * mean_.size();
  if (!weight_.empty()) {
    const float* __restrict weight = weight_.data() + place * width;
    for (size_t h = 0; h < width; ++h) heads[h] += value * weight[h];
  } else {
    const int8_t* __restrict weight = quantised_.data() + place * width;
    const float quantum = value * quantum_[place];
    for (size_t h = 0; h < width; ++h) heads[h] += quantum * static_cast<float>(weight[h]);
  }
}

void HashedLinearQuality::Predict(const FeatureView& z, const QualityPrediction& prediction) const {
  const size_t experts = mean_.size(), width = 2 * experts;
  const bool readable = z.known && z.dense.size() >= dense_mean_.size() &&
                        (z.indices.empty() || z.indices.back() < buckets_);
  thread_local std::vector<float> heads;
  heads.assign(width, 0.0f);
  double squares = 0, leverage = 0;
  if (readable) {
    constexpr size_t kAhead = 8;  // rows of weights come from far, and their places are known early
    for (size_t i = 0; i < z.indices.size(); ++i) {
      if (i + kAhead < z.indices.size()) {
        const size_t ahead = place_of_[z.indices[i + kAhead]];
        if (ahead < places_) {
          const char* at = weight_.empty()
                               ? reinterpret_cast<const char*>(quantised_.data() + ahead * width)
                               : reinterpret_cast<const char*>(weight_.data() + ahead * width);
          __builtin_prefetch(at);
          __builtin_prefetch(at + 64);
        }
      }
      const size_t place = place_of_[z.indices[i]];
      const float value = z.values[i] * idf_[place];
      squares += static_cast<double>(value) * value;
      leverage += static_cast<double>(value) * value * inverse_[place];
      if (place < places_) AddColumn(place, value, heads.data());
    }
    const float scale = squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 0.0f;
    for (float& head : heads) head *= scale;
    leverage *= static_cast<double>(scale) * scale;
    for (size_t j = 0; j < dense_mean_.size(); ++j) {
      const float value = (z.dense[j] - dense_mean_[j]) * dense_scale_[j];
      const size_t place = place_of_[buckets_ + j];
      leverage += static_cast<double>(value) * value * inverse_[place];
      if (place < places_) AddColumn(place, value, heads.data());
    }
  }
  for (size_t i = 0; i < experts; ++i) {
    const float score = readable ? heads[i] : std::nanf("");
    const float length = readable ? heads[experts + i] : std::nanf("");
    const bool known = std::isfinite(score);
    prediction.quality[i] = known ? Bounded(mean_[i] + score) : mean_quality_[i];
    if (!prediction.uncertainty.empty()) {
      const double deviation = residual_[i] * std::sqrt(known ? leverage : inverse_.back());
      prediction.uncertainty[i] = static_cast<float>(std::min(0.5, deviation));
    }
    if (!prediction.work.empty()) {
      const float work = std::exp(length_mean_[i] + length) * work_scale_[i];
      prediction.work[i] = std::isfinite(work) && work > 0 ? work : 1.0f;
    }
  }
}

}  // namespace penstock::router
