#include "router_service/quality/learned/expert_cards.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/read_file.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "router_service/features/text_features.h"
#include "router_service/quality/learned/prototype_scorer.h"

namespace penstock::router {
namespace {

constexpr size_t kLargestFile = size_t{64} << 20;
constexpr size_t kMostCards = 4096, kMostExamples = 1000;
constexpr int kMostNested = 8;
constexpr double kNearlyTheSame = 0.97;

absl::StatusOr<ExpertCard> ParseCard(absl::string_view text) {
  using Json = nlohmann::json;
  bool too_deep = false;
  const auto within_depth = [&too_deep](int depth, Json::parse_event_t, const Json&) {
    too_deep |= depth > kMostNested;
    return depth <= kMostNested;
  };
  const Json line =
      Json::parse(text.data(), text.data() + text.size(), within_depth, /*exceptions=*/false);
  if (line.is_discarded() || too_deep || !line.is_object()) {
    return absl::InvalidArgumentError("no JSON object");
  }
  ExpertCard card;
  for (const auto& [field, value] : line.items()) {
    if (field == "expert" || field == "capability") {
      if (!value.is_string()) return absl::InvalidArgumentError(field + ": wanted a text");
      (field == "expert" ? card.expert : card.capability) = value.get<std::string>();
    } else if (field == "examples") {
      if (!value.is_array() || value.size() > kMostExamples) {
        return absl::InvalidArgumentError(
            absl::StrCat("examples: wanted a list of at most ", kMostExamples, " texts"));
      }
      for (const Json& example : value) {
        if (!example.is_string()) {
          return absl::InvalidArgumentError("examples: wanted a list of texts");
        }
        card.examples.push_back(example.get<std::string>());
      }
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          field.substr(0, 40), ": unknown field; fields are expert, capability, examples"));
    }
  }
  if (card.expert.empty()) return absl::InvalidArgumentError("expert: missing");
  if (card.capability.empty() && card.examples.empty()) {
    return absl::InvalidArgumentError("has neither capability nor examples");
  }
  return card;
}

// One row per text, by the features and the weighting.
SparseRows RowsOf(const std::vector<std::string>& texts, const TextFeatures& extractor,
                  const FeatureWeighting* weighting) {
  SparseRows rows;
  rows.columns = weighting == nullptr ? extractor.sparse_dimension() : weighting->columns();
  FeatureBuffer buffer;
  std::vector<uint32_t> columns;
  std::vector<float> values;
  for (const std::string& text : texts) {
    extractor.ExtractText(text, buffer);
    if (weighting == nullptr) {
      rows.Add(buffer.indices, buffer.values);
    } else {
      weighting->Apply(buffer.view(), columns, values);
      rows.Add(columns, values);
    }
  }
  return rows;
}

}  // namespace

std::vector<std::string> ExpertCard::Texts() const {
  std::vector<std::string> texts = examples;
  if (!capability.empty()) texts.push_back(capability);
  return texts;
}

absl::StatusOr<std::vector<ExpertCard>> ReadExpertCards(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kLargestFile));
  std::vector<ExpertCard> cards;
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (line.find_first_not_of(" \t\r") == absl::string_view::npos) continue;
    absl::StatusOr<ExpertCard> card = ParseCard(line);
    const bool twice = card.ok() && std::any_of(cards.begin(), cards.end(), [&](const auto& other) {
                         return other.expert == card->expert;
                       });
    if (twice) card = absl::InvalidArgumentError("expert: has a card already");
    if (card.ok() && cards.size() == kMostCards)
      card = absl::InvalidArgumentError("too many cards");
    if (!card.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": ", card.status().message()));
    }
    cards.push_back(*std::move(card));
  }
  if (cards.empty()) return absl::InvalidArgumentError(absl::StrCat(path, " has no cards"));
  return cards;
}

absl::StatusOr<FeatureWeighting> CardWeighting(const std::vector<ExpertCard>& cards,
                                               const config::v1::TextFeatures& features) {
  std::vector<std::string> texts;
  for (const ExpertCard& card : cards) {
    for (std::string& text : card.Texts()) texts.push_back(std::move(text));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const TextFeatures extractor, TextFeatures::FromSettings(features));
  const SparseRows rows = RowsOf(texts, extractor, nullptr);
  std::vector<size_t> all(rows.rows());
  for (size_t row = 0; row < all.size(); ++row) all[row] = row;
  FeatureWeighting weighting;
  weighting.buckets = rows.columns;
  weighting.idf = InverseDocumentFrequency(rows, all);
  return weighting;
}

absl::StatusOr<SparseRows> CardPrototypes(const std::vector<ExpertCard>& cards,
                                          const std::vector<std::string>& names,
                                          const config::v1::TextFeatures& features,
                                          const FeatureWeighting& weighting) {
  if (features.embeddings().alone() && weighting.dense_mean.empty()) {
    return absl::InvalidArgumentError(
        "cards are compared by words, which features.text.embeddings.alone leaves out");
  }
  PENSTOCK_ASSIGN_OR_RETURN(const TextFeatures extractor, TextFeatures::FromSettings(features));
  SparseRows prototypes;
  prototypes.columns = weighting.columns();
  for (const std::string& name : names) {
    const auto card = std::find_if(cards.begin(), cards.end(),
                                   [&](const ExpertCard& item) { return item.expert == name; });
    const std::vector<std::string> texts =
        card == cards.end() ? std::vector<std::string>() : card->Texts();
    PrototypeScorer::AddPrototype(RowsOf(texts, extractor, &weighting), prototypes);
  }
  return prototypes;
}

std::vector<std::string> CardWarnings(const SparseRows& prototypes,
                                      const std::vector<std::string>& names) {
  std::vector<std::string> warnings;
  std::vector<double> dense(prototypes.columns, 0.0);
  for (size_t a = 0; a < prototypes.rows(); ++a) {
    const auto put = [&](bool clear) {
      for (size_t i = 0; i < prototypes.Columns(a).size(); ++i) {
        dense[prototypes.Columns(a)[i]] = clear ? 0.0 : double{prototypes.Values(a)[i]};
      }
    };
    put(false);
    for (size_t b = a + 1; b < prototypes.rows(); ++b) {
      double cosine = 0;
      for (size_t i = 0; i < prototypes.Columns(b).size(); ++i) {
        cosine += dense[prototypes.Columns(b)[i]] * prototypes.Values(b)[i];
      }
      if (cosine <= kNearlyTheSame) continue;
      warnings.push_back(absl::StrCat("the cards of \"", names[a], "\" and \"", names[b],
                                      "\" are nearly the same: nothing tells which to ask"));
    }
    put(true);
  }
  return warnings;
}

}  // namespace penstock::router
