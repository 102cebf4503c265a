#include "router_service/dispatch/choice/feature_disagreement.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "router_service/dispatch/request_prompt.h"
#include "router_service/features/text_features.h"
#include "router_service/gating/top_k.h"

namespace penstock::router {
namespace {

constexpr size_t kParts = 4;
// Fewer bytes of a quarter tell nothing.
constexpr size_t kLeastPart = 64;

// The next place from `at` on where a character begins.
size_t CharacterFrom(absl::string_view text, size_t at) {
  while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

// Whom the pool would ask for what `z` says.
class BestExpert {
 public:
  BestExpert(const RouteRequest& request, const ScoredExperts& scored, double price_per_joule)
      : pool_(*request.pool), scored_(scored), price_(price_per_joule) {
    by_mass_ = pool_.config.selection().score() == config::v1::Selection::GATE_MASS;
    const size_t experts = pool_.experts.size();
    preference_.resize(experts);
    logits_.resize(experts);
    for (const Exclusion exclusion : scored.candidates->excluded()) {
      admissible_.push_back(exclusion == Exclusion::kNone);
    }
  }

  size_t Of(const FeatureView& z) {
    if (by_mass_) {
      CounterRandom random(0, 0);
      pool_.rooms->gate->Score(z.dense, admissible_, random, absl::MakeSpan(logits_));
      GateMass(logits_, admissible_, absl::MakeSpan(preference_));
    } else {
      pool_.rooms->quality->Predict(z, absl::MakeSpan(preference_));
    }
    const double value = ValueOf(pool_);
    size_t best = preference_.size();
    double most = 0;
    for (size_t i = 0; i < preference_.size(); ++i) {
      const double worth = value * preference_[i] - price_ * scored_.candidates->energy_j()[i];
      if (!admissible_[i] || (best < preference_.size() && worth <= most)) continue;
      best = i;
      most = worth;
    }
    return best;
  }

 private:
  const Pool& pool_;
  const ScoredExperts& scored_;
  const double price_;
  bool by_mass_ = false;
  std::vector<float> preference_, logits_;
  std::vector<uint8_t> admissible_;
};

// z without the rarest tenth of its sparse part; as it is where nothing is known of rarity.
struct CommonPart {
  CommonPart(const FeatureBuffer& z, const QualityModel& quality) {
    std::vector<float> rarity;
    for (const uint32_t index : z.indices) rarity.push_back(quality.Rarity(index));
    const size_t dropped = z.indices.size() / 10;
    std::vector<size_t> order(z.indices.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    // Of equals the later ones stay: the order is that of the hash, and no prompt's to choose.
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return rarity[a] > rarity[b]; });
    std::vector<uint8_t> drop(z.indices.size(), 0);
    for (size_t i = 0; i < dropped && rarity[order[i]] > 0; ++i) drop[order[i]] = 1;
    for (size_t i = 0; i < z.indices.size(); ++i) {
      if (drop[i]) continue;
      indices.push_back(z.indices[i]);
      values.push_back(z.values[i]);
    }
  }
  std::vector<uint32_t> indices;
  std::vector<float> values;
};

}  // namespace

bool FeaturesDisagree(const RouteRequest& request, const ScoredExperts& scored,
                      const FeatureBuffer& z, double price_per_joule) {
  const Pool& pool = *request.pool;
  if (pool.config.gate().has_random()) return false;
  BestExpert best(request, scored, price_per_joule);
  const size_t whole = best.Of(z.view());
  const CommonPart common(z, *pool.rooms->quality);
  if (best.Of(FeatureView(z.dense, common.indices, common.values)) != whole) return true;
  const std::string prompt = PromptOf(request);
  if (prompt.size() < kParts * kLeastPart) return false;
  const TextFeatures* features = pool.rooms->features->text();
  if (features == nullptr) return false;
  FeatureBuffer part;
  size_t begin = 0;
  for (size_t i = 1; i <= kParts; ++i) {
    const size_t end = CharacterFrom(prompt, prompt.size() * i / kParts);
    features->ExtractText(absl::string_view(prompt).substr(begin, end - begin), part);
    if (best.Of(part.view()) != whole) return true;
    begin = end;
  }
  return false;
}

}  // namespace penstock::router
