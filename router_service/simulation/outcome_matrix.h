#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// What every expert's answer to every recorded request was worth and took, and what the router knew
// of it before. Row-major [rows, experts]: a decision reads one row.
struct OutcomeMatrix {
  // One answer. quality NaN: this expert did not answer this request, and cannot be chosen for it.
  struct Cell {
    float quality = 0;
    float joules = 0;
    float seconds = 0;  // alone on its server
    float tokens = 0;   // of the answer; 0: not known
    float predicted_quality = 0;
    float predicted_joules = 0;
    float predicted_tokens = 0;
    float prompt_tokens = 0;  // as this expert counts them
  };

  std::vector<std::string> experts;
  std::vector<std::string> ids;
  std::vector<Cell> cells;

  size_t rows() const { return ids.size(); }
  absl::Span<const Cell> Row(size_t row) const {
    return absl::MakeConstSpan(cells).subspan(row * experts.size(), experts.size());
  }
  // Over the rows where it answered; NaN if nowhere.
  double MeanQuality(size_t expert) const;
  double MeanJoules(size_t expert) const;
  // Of its answers; 0 if it gave none.
  double LargestJoules(size_t expert) const;
  // Of the largest mean quality; ties by lowest.
  size_t BestSingle() const;
  size_t Cheapest() const;
};

}  // namespace penstock::router
