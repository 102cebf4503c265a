#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "gateway/caching/shared_cache.h"
#include "router_service/pacing/sharing/told_demand.h"
#include "router_service/recording/chain/kept_heads.h"
#include "router_service/replicas/shared_load/in_flight_report.h"
#include "router_service/usage/usage_ledger.h"

namespace {

void Check(bool condition) {
  if (!condition) std::abort();
}

// An answer is served only where the value says it is of this very key.
void ReadAnswer(absl::string_view value) {
  penstock::gateway::CacheKey key;
  key.head = "h";
  const penstock::gateway::DecodedShared read = penstock::gateway::DecodeShared(value, key);
  if (read.answer == nullptr) return;
  const std::string written = penstock::gateway::EncodeShared(key, *read.answer, read.until);
  const penstock::gateway::DecodedShared again = penstock::gateway::DecodeShared(written, key);
  std::string one, other;
  Check(again.answer != nullptr &&
        again.answer->body.Flat(one) == read.answer->body.Flat(other));
}

void ReadReport(absl::string_view value) {
  const auto report = penstock::router::ParseInFlightReport(value);
  if (!report.ok()) return Check(!report.status().message().empty());
  Check(report->in_flight.size() <= penstock::router::kMostReportReplicas);
  Check(penstock::router::FormatInFlightReport(*report) == value);
}

void ReadHeads(absl::string_view value) {
  size_t others = 0;
  const auto heads = penstock::router::ParseKeptHeads("log", value, others);
  Check(heads.size() <= penstock::router::kMostKeptHeads);
  size_t none = 0;
  const std::string again = penstock::router::FormatKeptHeads(heads);
  Check(penstock::router::ParseKeptHeads("log", again, none) == heads && none == 0);
}

// Fields of a hash: a length, so many bytes of name, eight bytes of value, and so on.
penstock::StoreFields FieldsIn(absl::string_view bytes) {
  penstock::StoreFields fields;
  while (!bytes.empty()) {
    const size_t length = static_cast<uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    const std::string name(bytes.substr(0, length));
    bytes.remove_prefix(name.size());
    uint64_t value = 0;
    for (const char byte : bytes.substr(0, 8)) value = value * 256 + static_cast<uint8_t>(byte);
    bytes.remove_prefix(std::min<size_t>(8, bytes.size()));
    fields[name] = static_cast<int64_t>(value);
  }
  return fields;
}

void ReadUsage(const penstock::StoreFields& fields) {
  penstock::router::UsageLedger::Totals totals;
  for (const auto& [field, value] : fields) {
    penstock::router::AddUsageField(field, value, totals);
  }
  Check(totals.size() <= fields.size());
}

void ReadDemand(const penstock::StoreFields& fields) {
  penstock::router::ToldDemands told;
  penstock::router::MergeFields(fields, told);
  // What was read once changes nothing when it is read again.
  penstock::router::ToldDemands again = told;
  penstock::router::MergeFields(fields, again);
  Check(told.size() <= fields.size() && again.size() == told.size());
}

}  // namespace

// Values as another release, or whoever else may write to the store, left them: the first byte
// chooses which.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view value(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      ReadAnswer(value);
      break;
    case 1:
      ReadReport(value);
      break;
    case 2:
      ReadHeads(value);
      break;
    case 3:
      ReadUsage(FieldsIn(value));
      break;
    default:
      ReadDemand(FieldsIn(value));
      break;
  }
  return 0;
}
