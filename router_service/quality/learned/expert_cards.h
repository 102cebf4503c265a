#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/features/sparse_rows.h"
#include "router_service/quality/learned/feature_weighting.h"

namespace penstock::router {

// What an expert's owner says of it before it was ever asked.
struct ExpertCard {
  std::string expert, capability;
  std::vector<std::string> examples;  // prompts that it is for

  std::vector<std::string> Texts() const;
};

// JSON lines: {"expert": "small", "capability": "...", "examples": ["...", ...]}; either of the
// last two may be left out. INVALID_ARGUMENT with file:line and field.
absl::StatusOr<std::vector<ExpertCard>> ReadExpertCards(const std::string& path);

// Inverse document frequencies of the cards' texts, each a document.
absl::StatusOr<FeatureWeighting> CardWeighting(const std::vector<ExpertCard>& cards,
                                               const config::v1::TextFeatures& features);
// [names, columns]: the normalised mean of each one's texts; empty where it has no card.
absl::StatusOr<SparseRows> CardPrototypes(const std::vector<ExpertCard>& cards,
                                          const std::vector<std::string>& names,
                                          const config::v1::TextFeatures& features,
                                          const FeatureWeighting& weighting);
// Of cards that say nearly the same (cosine above 0.97): no request can tell them apart.
std::vector<std::string> CardWarnings(const SparseRows& prototypes,
                                      const std::vector<std::string>& names);

}  // namespace penstock::router
