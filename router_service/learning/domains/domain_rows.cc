#include "router_service/learning/domains/domain_rows.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/text/line_reader.h"

namespace penstock::router {
namespace {

constexpr size_t kMostRows = 10'000'000;
constexpr size_t kMostNumbers = 1 << 20;

absl::Status Bad(absl::string_view field, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", detail));
}

}  // namespace

absl::Status ReadJsonRows(const std::string& path,
                          const std::function<absl::Status(const nlohmann::json&)>& take) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> lines, LineReader::Open(path));
  absl::string_view line;
  bool cut = false;
  for (size_t rows = 0;;) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool more, lines->Next(line, cut));
    if (!more) return absl::OkStatus();
    if (line.find_first_not_of(" \t\r") == absl::string_view::npos) continue;
    const nlohmann::json json = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
    absl::Status status = absl::OkStatus();
    if (cut || !json.is_object()) {
      status = absl::InvalidArgumentError("no JSON object");
    } else if (++rows > kMostRows) {
      status = absl::InvalidArgumentError(absl::StrCat("more than ", kMostRows, " rows"));
    } else {
      status = take(json);
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", lines->number(), ": ", status.message()));
    }
  }
}

absl::StatusOr<std::vector<float>> NumbersOf(const nlohmann::json& row, const char* field) {
  const auto found = row.find(field);
  if (found == row.end() || !found->is_array() || found->size() > kMostNumbers) {
    return Bad(field, absl::StrCat("wanted a list of at most ", kMostNumbers, " numbers"));
  }
  std::vector<float> values;
  for (const nlohmann::json& value : *found) {
    if (!value.is_number() || !std::isfinite(value.get<float>())) {
      return Bad(field, "wanted finite numbers");
    }
    values.push_back(value.get<float>());
  }
  return values;
}

absl::StatusOr<size_t> IndexOf(const nlohmann::json& row, const char* field) {
  const auto found = row.find(field);
  if (found == row.end() || !found->is_number_unsigned()) {
    return Bad(field, "wanted a whole number from 0 on");
  }
  return found->get<size_t>();
}

absl::Status CheckDistribution(absl::Span<const float> p, size_t labels) {
  if (p.size() != labels || labels == 0) {
    return absl::InvalidArgumentError(absl::StrCat(p.size(), " labels, wanted ", labels));
  }
  double sum = 0;
  for (const float value : p) sum += value >= 0 ? static_cast<double>(value) : std::nan("");
  if (std::abs(sum - 1) <= 0.02) return absl::OkStatus();
  return absl::InvalidArgumentError("wanted probabilities that sum to 1");
}

size_t LargestOf(absl::Span<const float> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace penstock::router
