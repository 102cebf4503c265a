#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "router_service/features/text_features.h"

namespace penstock::router {

// Dense features of a prompt, and of an answer to it: hashed words, log(1 + times) scaled to length
// 1, and the surface's statistics; of an answer the prompt's surface too.
class RankingFeatures {
 public:
  // Numbers of buckets are 2^bits, in [8, 12].
  static absl::StatusOr<RankingFeatures> Create(uint32_t prompt_bits, uint32_t answer_bits);

  size_t prompt_dimension() const;
  size_t answer_dimension() const;
  uint32_t prompt_bits() const { return prompt_bits_; }
  uint32_t answer_bits() const { return answer_bits_; }
  std::vector<float> Prompt(absl::string_view prompt) const;
  std::vector<float> Answer(absl::string_view prompt, absl::string_view answer) const;

 private:
  RankingFeatures(uint32_t prompt_bits, uint32_t answer_bits, TextFeatures prompt,
                  TextFeatures answer)
      : prompt_bits_(prompt_bits),
        answer_bits_(answer_bits),
        prompt_(std::move(prompt)),
        answer_(std::move(answer)) {}

  uint32_t prompt_bits_, answer_bits_;
  TextFeatures prompt_, answer_;
};

// What an answer is worth: score = scale * sum_k g_k R'_k over objectives k.
//   R = V e + v,  e the answer's features; R'_k = R_k - p_k R_length takes out what goes with
//   length g = softmax((U z + u) / temperature),  z the prompt's features alone
// After Wang et al. 2024, ArmoRM, arXiv:2406.12845, with a linear gate for its network.
struct RankingModel {
  std::vector<std::string> objectives;   // [K]
  std::vector<float> heads, heads_bias;  // V [K, answer_dimension], v [K]
  std::vector<float> length_head;        // [answer_dimension]
  float length_bias = 0;
  std::vector<float> penalty;          // p [K]
  std::vector<float> gate, gate_bias;  // U [K, prompt_dimension], u [K]
  double temperature = 10;
  double scale = 1;

  // R' [K] of an answer.
  std::vector<double> Rewards(absl::Span<const float> answer) const;
  double Length(absl::Span<const float> answer) const;
  // g [K] of a prompt.
  std::vector<double> Weights(absl::Span<const float> prompt) const;
  // scale * g_k R'_k [K]; their sum is the score.
  std::vector<double> Contributions(absl::Span<const double> weights,
                                    absl::Span<const double> rewards) const;
};

// Metadata "kind" ranking, "objectives", "prompt_bits", "answer_bits".
absl::Status WriteRankingModel(const std::string& path, const RankingModel& model,
                               const RankingFeatures& features);
struct LoadedRanking {
  RankingModel model;
  RankingFeatures features;
};
absl::StatusOr<LoadedRanking> ReadRankingModel(const std::string& path);

}  // namespace penstock::router
