#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/tensors/safetensors.h"

namespace penstock::router {

// What a scorer says of one request, an entry per expert of its file.
struct LogitScores {
  std::vector<float> logit;      // of being right, before calibration
  std::vector<float> deviation;  // standard deviation of `logit`
  std::vector<float> work;       // as QualityPrediction::work, up to a factor of the expert's
};

// The part of a learned quality model that differs from kind to kind. Immutable, thread-safe.
class LogitScorer {
 public:
  virtual ~LogitScorer() = default;

  virtual size_t experts() const = 0;
  // The row as FeatureWeighting gives it. Overwrites `scores`.
  virtual void Score(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                     LogitScores& scores) const = 0;
  // As a file has it.
  virtual void AppendTo(std::vector<SafetensorsTensor>& tensors,
                        std::map<std::string, std::string>& metadata) const = 0;
};

}  // namespace penstock::router
