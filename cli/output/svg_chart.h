#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace penstock::cli {

// One set of points of a chart; points whose x or y is not finite are left out.
struct ChartSeries {
  enum class Kind { kLine, kSteps, kPoints };
  std::string name;  // in the legend; empty: none
  Kind kind = Kind::kLine;
  std::vector<std::pair<double, double>> points;  // (x, y), drawn in this order
  std::vector<std::string> labels;                // beside each point; may be shorter
  bool dashed = false;
};

struct ChartAxis {
  std::string label;
  bool logarithmic = false;               // values not above 0 are then left out
  std::optional<double> lowest, highest;  // unset: the data's, widened to whole ticks
};

struct Chart {
  std::string title;
  ChartAxis x, y;
  std::vector<ChartSeries> series;
  // A level across the whole chart, such as a budget: (y, label).
  std::vector<std::pair<double, std::string>> levels;
  int width = 760;
  int height = 460;
};

// A standalone SVG 1.1 document: the same chart gives the same bytes.
std::string SvgChart(const Chart& chart);

// UNAVAILABLE if the file cannot be written.
absl::Status WriteSvgChart(const Chart& chart, const std::string& path);

}  // namespace penstock::cli
