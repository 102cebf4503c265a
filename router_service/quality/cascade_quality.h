#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"
#include "router_service/quality/answer_confidence.h"
#include "router_service/quality/cascade/bypass_gate.h"
#include "router_service/quality/cascade/slow_estimate.h"
#include "router_service/quality/cascade/stage_policy.h"

namespace penstock::router {

// A cascade that was calibrated to a stated risk (`penstock train --risk`): its stages are asked in
// order, and an answer stands iff P(right) of it minus that of the last stage exceeds `least_lead`.
struct CascadeStages final : StagePolicy, StageList {
  CascadeStages() = default;
  CascadeStages(std::vector<size_t> in_order, float lead)
      : StageList{std::move(in_order)}, least_lead(lead) {}

  float least_lead = 0;  // +infinity: only the last stage's answer stands

  absl::Span<const size_t> After(size_t standing) const override {
    return StageList::After(standing);
  }
  bool Stands(const StandingAnswer& answer, ExitState&) const override {
    return MayStand(answer.expert, answer.quality);
  }
  absl::string_view Rule() const override {
    return "the answer is not sure enough for the stated risk";
  }
  // Whether the answer of `standing`, a stage before the last, may stand; quality as
  // CascadeQuality::Predict.
  bool MayStand(size_t standing, absl::Span<const float> quality) const;
};

// The features that a pool's cascade may read.
struct CascadeFeatures {
  std::optional<size_t> dimension;  // unset: not known
  std::string metadata;             // FeaturesMetadata; empty: not known
};

// P(right) of every expert given how sure the standing answer's expert is of its own answer:
// sigma(a + b_1 f_1 + b_2 f_2) for each pair (standing, asked), calibrated on held-out folds by
// `penstock train`; f as in ConfidenceFeatures. Immutable, thread-safe.
class CascadeQuality {
 public:
  // Expected calibration error on held-out requests above which no gain is weighed against a price:
  // a threshold that follows bad probabilities is worse than a fixed one.
  static constexpr float kMostError = 0.05f;

  // Experts in the pool's order, found by name in the file. INVALID_ARGUMENT names a missing one,
  // and a stage that is no expert of the pool or cannot stand; a file of another kind, and a bypass
  // that was trained on other features.
  static absl::StatusOr<std::unique_ptr<const CascadeQuality>> Open(
      const std::string& path, const std::vector<std::string>& expert_names,
      const CascadeFeatures& features = {});
  static absl::StatusOr<std::unique_ptr<const CascadeQuality>> FromTensors(
      const Safetensors& file, absl::string_view path,
      const std::vector<std::string>& expert_names, const CascadeFeatures& features = {});

  size_t experts() const { return experts_; }
  // Whether the table it was trained on told this expert's confidence: else it cannot stand.
  bool CanStand(size_t expert) const { return can_stand_[expert] != 0; }

  // Unset: no risk was stated.
  const std::optional<CascadeStages>& stages() const { return stages_; }
  // Decides whether an answer of `standing` stands; null: gain is weighed against price.
  const StagePolicy* PolicyOf(size_t standing) const;
  // Whether the gain of asking `asked` may be weighed: its pair is calibrated, or nobody measured.
  bool Weighable(size_t standing, size_t asked) const {
    return weighable_[standing * experts_ + asked] != 0;
  }
  // Null: the file's policy is another one.
  const BypassGate* bypass() const { return policy_ == nullptr ? nullptr : policy_->bypass(); }
  // Null: the file knows no verifier.
  const SlowEstimate* slow() const { return slow_.get(); }
  // The first of the stages that the file decides over at no price; unset: price decides.
  std::optional<size_t> begins_with() const { return begins_with_; }
  // Where a fixed confidence decides instead of price, and why; a line each.
  const std::vector<std::string>& refusals() const { return refusals_; }

  // quality[i] = P(expert i right); quality[standing] is the standing answer's own (p_stay), the
  // others are p_big. The mean over the rows of the answer. CanStand(standing) and at least one
  // row.
  void Predict(size_t standing, absl::Span<const AnswerConfidence> rows,
               absl::Span<float> quality) const;

 private:
  CascadeQuality() = default;
  absl::Status ReadRules(const Safetensors& file, absl::string_view path,
                         const std::vector<std::string>& expert_names,
                         absl::Span<const size_t> columns, size_t in_file);
  absl::Status ReadErrors(const Safetensors& file, absl::string_view path,
                          const std::vector<std::string>& expert_names,
                          absl::Span<const size_t> columns, size_t in_file);

  size_t experts_ = 0;
  std::vector<float> weights_;  // [standing, asked, 3]: a, b_1, b_2
  std::vector<uint8_t> can_stand_;
  std::optional<CascadeStages> stages_;
  std::unique_ptr<const StagePolicy> policy_;  // of metadata "policy"
  std::unique_ptr<const StagePolicy> fixed_;
  std::vector<uint8_t> weighable_;  // [standing, asked]
  std::vector<uint8_t> by_price_;   // [standing]
  std::unique_ptr<const SlowEstimate> slow_;
  std::optional<size_t> begins_with_;
  std::vector<std::string> refusals_;
};

}  // namespace penstock::router
