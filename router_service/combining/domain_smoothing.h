#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router_service/combining/combiner.h"

namespace penstock::router {

// How probably a request lies outside the in-domain expert's labels: P_U = sigma((threshold - s) /
// temperature), s = bias + weight . features. The features are how sure both experts are: the five
// largest probabilities, descending, of the general expert over its own labels and of the in-domain
// expert over its own, the latter softened by the temperature 3 (p^(1/3), scaled to sum 1). Missing
// ones are 0.
struct DomainGate {
  static constexpr size_t kLargest = 5;
  static constexpr size_t kFeatures = 2 * kLargest;
  static constexpr double kSoftening = 3;
  using Features = std::array<double, kFeatures>;

  Features weight{};
  double bias = 0;
  double temperature = 1;
  double threshold = 0;

  double Score(const Features& features) const;
  double OutOfDomain(double score) const;
};

// Which labels are the in-domain expert's; the others are the general one's. Both groups hold at
// least one.
class LabelGroups {
 public:
  // INVALID_ARGUMENT: no index, or one that stands twice.
  static absl::StatusOr<LabelGroups> Create(absl::Span<const uint32_t> in_domain);

  // INTERNAL unless `labels` has one of each group.
  absl::Status Check(size_t labels) const;
  bool InDomain(size_t label) const { return label < is_in_.size() && is_in_[label]; }

  DomainGate::Features Features(absl::Span<const float> general,
                                absl::Span<const float> in_domain) const;
  // Adaptive smoothing of one row, Atzmon and Chechik 2019, arXiv:1812.09903, with the group terms
  // normalised: P(y) = P_U (P_U p_general(y | U) + (1 - P_U) / |U|) over the general expert's
  // labels U, and likewise with 1 - P_U over the in-domain ones. Sums to 1. An expert that is
  // probably not asked its own matter is pulled to uniform, so its over-confidence wins nothing.
  void Smooth(double out_of_domain, absl::Span<const float> general,
              absl::Span<const float> in_domain, absl::Span<float> mixed) const;

 private:
  std::vector<uint8_t> is_in_;  // by label, up to the largest in-domain one
  size_t in_count_ = 0;
};

// File of a gate: tensors weight [10], bias [1], temperature [1] and threshold [1], metadata "kind"
// domain_smoothing.
absl::StatusOr<DomainGate> ReadDomainGate(const std::string& path);
absl::Status WriteDomainGate(const std::string& path, const DomainGate& gate);

// The combined output, FP32 distributions over the last dimension, of an in-domain expert and a
// general one. Where only one of them answered, its answer as it is; other outputs come from the
// answer of the expert whose group holds the larger mass in the first row.
class SmoothedDomains final : public Combiner {
 public:
  static absl::StatusOr<std::unique_ptr<const Combiner>> Create(
      const config::v1::DomainSmoothing& config, std::string combined_output);
  SmoothedDomains(std::string in_domain, std::string general, LabelGroups groups, DomainGate gate,
                  std::string combined_output)
      : in_domain_(std::move(in_domain)),
        general_(std::move(general)),
        groups_(std::move(groups)),
        gate_(gate),
        combined_output_(std::move(combined_output)) {}

  absl::StatusOr<std::vector<Tensor>> Combine(
      absl::Span<const ExpertAnswer> answers) const override;

 private:
  const std::string in_domain_, general_;
  const LabelGroups groups_;
  const DomainGate gate_;
  const std::string combined_output_;
};

}  // namespace penstock::router
