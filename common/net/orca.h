#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "common/net/infer_call.h"
#include "xds/data/orca/v3/orca_load_report.pb.h"

namespace penstock {

// Load and cost in the trailers of an answer (gRFC A51). The standard's key is for other people's
// balancers; gRPC C++ hides it from its own callers, so the same bytes go under a second key.
inline constexpr absl::string_view kOrcaKey = "endpoint-load-metrics-bin";
inline constexpr absl::string_view kOrcaKeyOfOurs = "x-orca-bin";

// Adds the report under both keys, replacing one that is there.
void SetOrcaReport(const xds::data::orca::v3::OrcaLoadReport& report, Metadata& trailers);
// The report under either key; none if there is none or it does not parse.
std::optional<xds::data::orca::v3::OrcaLoadReport> FindOrcaReport(const Metadata& trailers);

}  // namespace penstock
