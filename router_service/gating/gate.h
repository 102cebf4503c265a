#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/random.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Scores a pool's experts for a request or a row. Sees no budget: prices are the selector's matter.
// Immutable, thread-safe; the same (z, admissible, random) gives the same logits, bit for bit.
class Gate {
 public:
  virtual ~Gate() = default;

  virtual size_t experts() const = 0;
  // Length of the z that it reads; 0: reads none, any z will do.
  virtual size_t dimension() const = 0;
  // Experts per request or row that it was set up for.
  virtual size_t k() const = 0;

  // Logits [experts] of one request. `admissible` has one byte per expert, 0 = must not answer;
  // empty admits all. An inadmissible expert gets -infinity, and so may one that the gate gives no
  // weight, but not all of the admissible ones.
  virtual void Score(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                     CounterRandom& random, absl::Span<float> logits) const = 0;

  // The same for z [rows, dimension], logits [rows, experts].
  virtual void ScoreRows(int64_t rows, absl::Span<const float> z,
                         absl::Span<const uint8_t> admissible, CounterRandom& random,
                         absl::Span<float> logits) const = 0;
};

// `expert_names` in the pool's order: a file's experts are found by name. `feature_dimension` is
// the extractor's, `features` what FeaturesMetadata says of it; empty: not known. INVALID_ARGUMENT
// for a file of another kind of gate, or one trained on other features.
absl::StatusOr<std::unique_ptr<const Gate>> MakeGate(const config::v1::Gate& config,
                                                     const std::vector<std::string>& expert_names,
                                                     size_t feature_dimension,
                                                     absl::string_view features = "");

}  // namespace penstock::router
