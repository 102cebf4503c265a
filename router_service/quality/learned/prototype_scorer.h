#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/features/sparse_rows.h"
#include "router_service/quality/learned/logit_scorer.h"

namespace penstock::router {

// Which expert a request is for by how much it resembles their cards. With cos_i to the normalised
// mean c_i of a card's texts, and as one card more "nobody's" with cosine 0,
//   p_i = softmax(cos_i / 0.07),  logit_i = logit prior_i + ln((cards + 1) p_i),
// the second term within +-2: a card shifts what is believed of its expert, and says no more than
// that. An expert without a card stays with its prior. After the hard-prompt-guided router of
// "Mixture of Prompt Learning" (arXiv:2409.12011).
class PrototypeScorer final : public LogitScorer {
 public:
  static constexpr double kTemperature = 0.07, kMostEvidence = 2;

  struct Parameters {
    SparseRows prototypes;     // [experts, columns], of length 1; empty: no card
    std::vector<float> prior;  // [experts], in (0, 1)
    // [experts], outcomes that stand behind the prior, as many as are worth counting: r (1 - r) /
    // (2 + them) is the variance.
    std::vector<float> observed;
  };

  explicit PrototypeScorer(Parameters parameters);
  static absl::StatusOr<std::unique_ptr<const LogitScorer>> FromTensors(const Safetensors& file,
                                                                        const std::string& path,
                                                                        size_t columns,
                                                                        size_t experts);

  // Of the texts' rows together; empty where they have no words.
  static void AddPrototype(const SparseRows& texts, SparseRows& prototypes);

  // ln((cards + 1) p_i), held; 0 of an expert without a card. Overwrites.
  void Evidence(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                std::vector<float>& evidence) const;

  size_t experts() const override { return parameters_.prior.size(); }
  void Score(absl::Span<const uint32_t> columns, absl::Span<const float> values,
             LogitScores& scores) const override;
  void AppendTo(std::vector<SafetensorsTensor>& tensors,
                std::map<std::string, std::string>& metadata) const override;

 private:
  const Parameters parameters_;
  size_t cards_ = 0;
  // By column: the entries of the prototypes that have it.
  std::vector<uint32_t> column_;  // ascending, those that any has
  std::vector<size_t> begin_;     // [column_ + 1]
  std::vector<uint32_t> expert_;
  std::vector<float> value_;
};

}  // namespace penstock::router
