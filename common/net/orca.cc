#include "common/net/orca.h"

#include <algorithm>
#include <string>

namespace penstock {

void SetOrcaReport(const xds::data::orca::v3::OrcaLoadReport& report, Metadata& trailers) {
  trailers.erase(std::remove_if(trailers.begin(), trailers.end(),
                                [](const auto& entry) {
                                  return entry.first == kOrcaKey || entry.first == kOrcaKeyOfOurs;
                                }),
                 trailers.end());
  std::string bytes = report.SerializeAsString();
  trailers.emplace_back(std::string(kOrcaKey), bytes);
  trailers.emplace_back(std::string(kOrcaKeyOfOurs), std::move(bytes));
}

std::optional<xds::data::orca::v3::OrcaLoadReport> FindOrcaReport(const Metadata& trailers) {
  for (const auto& [key, value] : trailers) {
    if (key != kOrcaKey && key != kOrcaKeyOfOurs) continue;
    xds::data::orca::v3::OrcaLoadReport report;
    if (report.ParseFromString(value)) return report;
  }
  return std::nullopt;
}

}  // namespace penstock
