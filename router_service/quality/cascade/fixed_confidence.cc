#include "router_service/quality/cascade/fixed_confidence.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const FixedConfidence>> FixedConfidence::Read(
    const Safetensors& file, absl::string_view path, absl::Span<const size_t> columns,
    size_t in_file) {
  const int64_t size = static_cast<int64_t>(in_file);
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> from, file.Floats("fixed_from", {size}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> next, file.Floats("fixed_next", {size}));
  std::vector<float> pool_from;
  std::vector<size_t> pool_next;
  for (size_t i = 0; i < columns.size(); ++i) {
    const float value = next[columns[i]];
    if (!(value >= 0 && value < static_cast<float>(in_file)) || std::isnan(from[columns[i]])) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": fixed_next is ", value, " and fixed_from ", from[columns[i]],
                       ", wanted one of ", in_file, " experts and a confidence"));
    }
    const auto at = std::find(columns.begin(), columns.end(), static_cast<size_t>(value));
    pool_from.push_back(from[columns[i]]);
    pool_next.push_back(at == columns.end() ? i : static_cast<size_t>(at - columns.begin()));
  }
  return std::make_unique<FixedConfidence>(std::move(pool_from), std::move(pool_next));
}

absl::Span<const size_t> FixedConfidence::After(size_t standing) const {
  if (next_[standing] == standing) return {};
  return absl::MakeConstSpan(next_).subspan(standing, 1);
}

bool FixedConfidence::Stands(const StandingAnswer& answer, ExitState&) const {
  double sum = 0;
  for (const AnswerConfidence& row : answer.rows) sum += row.first;
  return sum >= static_cast<double>(from_[answer.expert]) * static_cast<double>(answer.rows.size());
}

}  // namespace penstock::router
