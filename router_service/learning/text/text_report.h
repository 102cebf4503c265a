#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "router_service/guards/benign_edits.h"
#include "router_service/learning/prediction_metrics.h"
#include "router_service/learning/text/cost_quality_frontier.h"

namespace penstock::router {

// An expert of the table, and how well the chosen model knows it on rows that it was not fitted on.
struct TextExpertReport {
  std::string name;
  size_t rows = 0;
  double quality = 0, mean_cost = 0, mean_tokens = 0;
  Fit fit;
  // Share of the variance of the answers' length (its logarithm) that the prompt tells.
  double length_explained = 0;
};

// One way to predict quality, out of fold.
struct ContenderReport {
  std::string name;
  double complexity = 0;
  RoutingFigures figures;
  double aiq_error = 0;  // standard error, delete-one-block jackknife over groups
  double gain = 0, gain_error = 0;  // over mixing single experts at random, paired
  double brier = 0, log_loss = 0;
  double seconds = 0;
  bool chosen = false;
  std::vector<std::pair<std::string, std::string>> notes;
};

struct RoutingPoint {
  double cost_share = 0;  // of the best single expert's cost
  double quality = 0, singles_quality = 0, oracle_quality = 0;
};

struct TextTrainReport {
  size_t rows = 0, groups = 0, bad_rows = 0, columns = 0;
  int folds = 0;
  std::string cost_unit;  // empty: the table tells none, and figures over cost are left out
  std::vector<TextExpertReport> experts;
  std::vector<ContenderReport> contenders;
  std::string why;  // the chosen one was
  std::vector<RoutingPoint> points;  // of the chosen one
  // How often the best expert by the written model changes when a prompt is only written otherwise, on
  // a sample of the table's prompts; no texts: nothing was written.
  FlipRate flip_rate;
  std::vector<std::string> bad, warnings, files;
  std::string pool_yaml;  // what a pool needs to serve the files

  const ContenderReport& chosen() const;
};

// The models side by side, and why one was chosen.
std::string FormatContenders(const TextTrainReport& report);
std::string FormatTextTrainReport(const TextTrainReport& report);
std::string TextTrainReportJson(const TextTrainReport& report);

}  // namespace penstock::router
