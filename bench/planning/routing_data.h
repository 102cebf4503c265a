#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::router {

// One routing set of a data directory (routing/SET.scores.csv.gz and so on, and
// calibration/model_cards.csv): the models whose joules are known.
struct RoutingData {
  std::vector<std::string> models;
  std::vector<bool> is_chat;  // [models]: tuned to follow instructions
  std::vector<std::string> ids;
  std::vector<double> score;    // [models, rows]; NaN: not told
  std::vector<double> joules;   // [models, rows]: output tokens by the card's joules for each
  std::vector<double> seconds;  // [models, rows]: output tokens by the card's time between them
  std::vector<std::string> prompts;  // empty unless asked for

  size_t rows() const { return ids.size(); }
};

absl::StatusOr<RoutingData> ReadRoutingData(const std::string& folder, const std::string& set,
                                            bool prompts);

// Splits one line at commas; the data's cells have no quotes.
std::vector<std::string> SplitCells(const std::string& line);

}  // namespace penstock::router
