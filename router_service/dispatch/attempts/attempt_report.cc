#include "router_service/dispatch/attempts/attempt_report.h"

#include <cmath>
#include <string>

#include "common/net/orca.h"
#include "xds/data/orca/v3/orca_load_report.pb.h"

namespace penstock::router {
namespace {

using CostMap = google::protobuf::Map<std::string, double>;

std::optional<double> NonNegative(const CostMap& map, const char* key) {
  const auto found = map.find(key);
  if (found == map.end() || !std::isfinite(found->second) || found->second < 0) {
    return std::nullopt;
  }
  return found->second;
}

std::optional<absl::Duration> Seconds(const CostMap& map, const char* key) {
  const std::optional<double> seconds = NonNegative(map, key);
  if (!seconds) return std::nullopt;
  return absl::Seconds(*seconds);
}

// The wire's numbers: 0 unknown, 1 counter, 2 sampled, 3 modelled.
EnergyMethod MethodOfNumber(double number) {
  if (number == 1) return EnergyMethod::kCounter;
  if (number == 2) return EnergyMethod::kSampled;
  if (number == 3) return EnergyMethod::kModelled;
  return EnergyMethod::kUnknown;
}

}  // namespace

AttemptReport ReadAttemptReport(const Metadata& trailers) {
  AttemptReport out;
  absl::string_view bytes = FindMetadata(trailers, kOrcaKey);
  if (bytes.empty()) bytes = FindMetadata(trailers, kOrcaKeyOfOurs);
  if (bytes.empty()) return out;
  xds::data::orca::v3::OrcaLoadReport report;
  if (!report.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return out;
  out.joules = NonNegative(report.request_cost(), "joules");
  out.queue = Seconds(report.request_cost(), "queue_seconds");
  out.compute = Seconds(report.request_cost(), "compute_seconds");
  out.queue_depth = NonNegative(report.named_metrics(), "queue_depth");
  out.in_flight = NonNegative(report.named_metrics(), "in_flight");
  const auto method = report.named_metrics().find("energy_method");
  if (method != report.named_metrics().end()) out.method = MethodOfNumber(method->second);
  return out;
}

}  // namespace penstock::router
