#include "router_service/replicas/shared_load/in_flight_report.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace penstock::router {
namespace {

constexpr absl::string_view kVersion = "1";
// Beyond what any server holds; sums of so many routers stay far below 2^64.
constexpr uint64_t kMostInFlight = 1'000'000'000;

bool IsKey(absl::string_view key) {
  return !key.empty() && key.size() <= kLongestReplicaKey &&
         std::none_of(key.begin(), key.end(),
                      [](unsigned char c) { return c != '\t' && absl::ascii_iscntrl(c); });
}

// "NUMBER REST".
bool SplitNumber(absl::string_view line, uint64_t& number, absl::string_view& rest) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(line, absl::MaxSplits(' ', 1));
  rest = parts.second;
  return absl::SimpleAtoi(parts.first, &number) && absl::StrCat(number) == parts.first;
}

}  // namespace

std::string FormatInFlightReport(const InFlightReport& report) {
  std::vector<std::pair<uint64_t, absl::string_view>> replicas;
  for (const auto& [key, in_flight] : report.in_flight) {
    if (in_flight > 0 && IsKey(key)) replicas.emplace_back(std::min(in_flight, kMostInFlight), key);
  }
  std::stable_sort(replicas.begin(), replicas.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (replicas.size() > kMostReportReplicas) replicas.resize(kMostReportReplicas);
  std::string text = absl::StrCat(kVersion, " ", report.round, "\n");
  for (const auto& [in_flight, key] : replicas) {
    const std::string line = absl::StrCat(in_flight, " ", key, "\n");
    if (text.size() + line.size() > kMostReportBytes) break;
    text += line;
  }
  return text;
}

absl::StatusOr<InFlightReport> ParseInFlightReport(absl::string_view text) {
  if (text.size() > kMostReportBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", text.size(), " bytes, wanted ", kMostReportBytes, " at most"));
  }
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  InFlightReport report;
  const std::pair<absl::string_view, absl::string_view> first =
      absl::StrSplit(lines.front(), absl::MaxSplits(' ', 1));
  if (first.first != kVersion || !absl::SimpleAtoi(first.second, &report.round) ||
      absl::StrCat(report.round) != first.second || !lines.back().empty()) {
    return absl::InvalidArgumentError("wanted \"1 ROUND\" and lines after it");
  }
  if (lines.size() - 2 > kMostReportReplicas) {
    return absl::InvalidArgumentError(absl::StrCat("has ", lines.size() - 2, " replicas, wanted ",
                                                   kMostReportReplicas, " at most"));
  }
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    uint64_t in_flight = 0;
    absl::string_view key;
    if (!SplitNumber(lines[i], in_flight, key) || in_flight == 0 || in_flight > kMostInFlight ||
        !IsKey(key) || !report.in_flight.emplace(key, in_flight).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", i + 1, ": wanted \"IN_FLIGHT KEY\", a key once"));
    }
  }
  return report;
}

}  // namespace penstock::router
