#include "router_service/learning/decisions/logged_outcomes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "router_service/features/text_features.h"

namespace penstock::router {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

std::vector<uint8_t> Asked(const LoggedOutcomes& outcomes) {
  std::vector<uint8_t> asked(outcomes.experts.size(), 0);
  for (const LoggedOutcome& row : outcomes.rows) asked[row.asked] = 1;
  return asked;
}

// What each row told of each expert.
struct Cells {
  std::vector<float> quality, cost;  // [experts, rows]
  std::string cost_unit;

  explicit Cells(const LoggedOutcomes& outcomes) {
    const std::vector<LoggedOutcome>& rows = outcomes.rows;
    const size_t experts = outcomes.experts.size();
    quality.assign(experts * rows.size(), kUnknown);
    cost.assign(experts * rows.size(), kUnknown);
    const bool metered = std::none_of(
        rows.begin(), rows.end(), [](const LoggedOutcome& row) { return std::isnan(row.joules); });
    cost_unit = metered ? "joules" : "seconds";
    const std::vector<uint8_t> asked = Asked(outcomes);
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t at = rows[i].asked * rows.size() + i;
      quality[at] = rows[i].quality;
      cost[at] = metered ? rows[i].joules : rows[i].seconds;
      for (size_t e = 0; e < experts; ++e) {
        if (asked[e] == 0 && e < rows[i].predicted.size()) {
          quality[e * rows.size() + i] = std::clamp(rows[i].predicted[e], 0.0f, 1.0f);
        }
      }
    }
  }
};

std::string GroupOf(const v1::Features& features) {
  // The same prompt again is no new evidence: it stays on one side of every split.
  return Sha256Hex(features.SerializeAsString());
}

}  // namespace

std::vector<std::string> LoggedOutcomes::Notes() const {
  std::vector<std::string> notes = {
      absl::StrCat(rows.size(), " reported decisions of pool ", pool, "; left out: ", unreported,
                   " without a report, ", combined, " without one expert's answer, ", other_pools,
                   " of other pools, ", bad_lines, " malformed lines")};
  if (capped > 0) {
    notes.push_back(absl::StrCat(capped, " more left out: beyond their tenant's share"));
  }
  for (const std::string& problem : bad) notes.push_back(absl::StrCat("  ", problem));
  if (bad_lines > bad.size())
    notes.push_back(absl::StrCat("  and ", bad_lines - bad.size(), " more"));
  const std::vector<uint8_t> asked = Asked(*this);
  for (size_t e = 0; e < experts.size(); ++e) {
    if (asked[e] != 0) continue;
    notes.push_back(absl::StrCat("expert ", experts[e],
                                 " answered no reported request: it is learnt as the files that "
                                 "decided believed it to be"));
  }
  return notes;
}

absl::StatusOr<OutcomeTable> ToOutcomeTable(const LoggedOutcomes& outcomes) {
  OutcomeTable table;
  table.experts = outcomes.experts;
  table.dimension = outcomes.dimension;
  Cells cells(outcomes);
  table.quality = std::move(cells.quality);
  table.cost = std::move(cells.cost);
  table.cost_unit = std::move(cells.cost_unit);
  table.confidence.assign(table.quality.size(), {-1, -1});
  table.answers.assign(table.quality.size(), 0);
  for (const LoggedOutcome& row : outcomes.rows) {
    if (row.features.values_size() != static_cast<int>(outcomes.dimension)) {
      return absl::InvalidArgumentError(
          absl::StrCat("decision ", row.id, " has features of text, ", row.features.values_size(),
                       " of ", outcomes.dimension, " values: it wants a model of text"));
    }
    table.ids.push_back(row.id);
    table.features.insert(table.features.end(), row.features.values().begin(),
                          row.features.values().end());
    table.asked.push_back(row.asked);
    table.propensity.push_back(row.propensity);
  }
  return table;
}

absl::StatusOr<TextOutcomes> ToTextOutcomes(const LoggedOutcomes& outcomes,
                                            const config::v1::TextFeatures& settings) {
  PENSTOCK_ASSIGN_OR_RETURN(const TextFeatures features, TextFeatures::FromSettings(settings));
  const size_t sparse = features.sparse_dimension();
  if (outcomes.dimension != sparse + features.dimension()) {
    return absl::InvalidArgumentError(absl::StrCat("the log's features have ", outcomes.dimension,
                                                   " entries, but with these settings of text "
                                                   "they have ",
                                                   sparse + features.dimension(),
                                                   ": wanted the settings of the pool"));
  }
  TextOutcomes text;
  text.experts = outcomes.experts;
  text.counts.columns = sparse;
  text.dense_dimension = features.dimension();
  text.partial = true;
  Cells cells(outcomes);
  text.quality = std::move(cells.quality);
  text.cost = std::move(cells.cost);
  text.cost_unit = std::move(cells.cost_unit);
  text.out_tokens.assign(text.quality.size(), kUnknown);
  for (const LoggedOutcome& row : outcomes.rows) {
    const absl::Span<const uint32_t> indices = row.features.indices();
    const absl::Span<const float> values = row.features.values();
    const size_t words = static_cast<size_t>(
        std::lower_bound(indices.begin(), indices.end(), sparse) - indices.begin());
    if (indices.size() - words != text.dense_dimension) {
      return absl::InvalidArgumentError(
          absl::StrCat("decision ", row.id, " has ", indices.size() - words,
                       " dense features, wanted ", text.dense_dimension));
    }
    text.counts.Add(indices.subspan(0, words), values.subspan(0, words));
    text.dense.insert(text.dense.end(), values.begin() + static_cast<std::ptrdiff_t>(words),
                      values.end());
    text.groups.push_back(GroupOf(row.features));
  }
  return text;
}

}  // namespace penstock::router
