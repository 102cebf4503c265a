#include "bench/replay/replay_case.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bench/replay/estimates.h"
#include "bench/routing/routing_set.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "router_service/simulation/malformed_rows.h"
#include "router_service/simulation/outcome_file.h"

namespace penstock::router {
namespace {

// What estimates from a file go by.
absl::StatusOr<std::vector<std::string>> ReadIds(const std::string& set_file) {
  std::ifstream file(set_file);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  std::vector<std::string> ids;
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(set_file, ": no JSON"));
  for (const auto& row : json.value("rows", nlohmann::json::array())) {
    const auto id = row.find("id");
    if (id == row.end()) continue;
    ids.push_back(id->is_string() ? id->get<std::string>() : id->dump());
  }
  return ids;
}

}  // namespace

absl::StatusOr<ReplayCase> LoadReplayCase(const std::string& set_file,
                                          const std::string& profiles_file,
                                          const std::string& estimates_file,
                                          const std::vector<std::string>& trace_files) {
  MalformedRows malformed(0);
  PENSTOCK_ASSIGN_OR_RETURN(RoutingSet set, ReadRoutingSet(set_file));
  if (set.tokens.empty() || set.token_price.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(set.name, " has no output tokens with a price: nothing to replay"));
  }
  ReplayCase loaded;
  loaded.set = set.name;
  OutcomeMatrix& outcomes = loaded.outcomes;
  outcomes.experts = set.models;
  PENSTOCK_ASSIGN_OR_RETURN(outcomes.ids, ReadIds(set_file));
  if (outcomes.ids.size() != set.rows) {
    return absl::InvalidArgumentError(absl::StrCat(set_file, ": rows without ids"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<ExpertProfile> profiles, ReadExpertProfiles(profiles_file));
  PENSTOCK_ASSIGN_OR_RETURN(loaded.profiles, InOrderOf(outcomes, profiles));
  outcomes.cells.resize(set.rows * set.models.size());
  for (size_t row = 0; row < set.rows; ++row) {
    for (size_t m = 0; m < set.models.size(); ++m) {
      OutcomeMatrix::Cell& cell = outcomes.cells[row * set.models.size() + m];
      cell.quality = set.quality[set.At(m, row)];
      cell.joules = set.cost[set.At(m, row)];
      cell.tokens = set.tokens[set.At(m, row)];
      cell.prompt_tokens = set.in_tokens[row];
      cell.seconds = static_cast<float>(loaded.profiles[m].seconds_per_request +
                                        loaded.profiles[m].seconds_per_token * cell.tokens);
    }
  }
  if (estimates_file.empty()) {
    loaded.estimates = "ridge on hashed word 1-2-grams, other folds";
    EstimateByRidge(set, outcomes);
  } else {
    loaded.estimates = estimates_file;
    PENSTOCK_RETURN_IF_ERROR(ReadEstimates(estimates_file, outcomes, malformed));
    for (size_t i = 0; i < outcomes.cells.size(); ++i) {
      outcomes.cells[i].predicted_tokens =
          outcomes.cells[i].predicted_joules / set.token_price[i % set.models.size()];
    }
  }
  // Where a test part was asked for, only that is replayed.
  if (std::count(set.test.begin(), set.test.end(), 1) > 0) {
    OutcomeMatrix tested;
    tested.experts = outcomes.experts;
    for (size_t row = 0; row < set.rows; ++row) {
      if (set.test[row] == 0) continue;
      tested.ids.push_back(outcomes.ids[row]);
      const auto cells = outcomes.Row(row);
      tested.cells.insert(tested.cells.end(), cells.begin(), cells.end());
    }
    outcomes = std::move(tested);
  }
  for (const std::string& file : trace_files) {
    NamedTrace named;
    named.name = std::filesystem::path(file).filename().string();
    named.name = named.name.substr(0, named.name.find('.'));
    PENSTOCK_ASSIGN_OR_RETURN(named.trace, ReadArrivalTrace(file, malformed));
    loaded.traces.push_back(std::move(named));
  }
  return loaded;
}

}  // namespace penstock::router
