#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace penstock::cli {

// Fits the gate of combiner SMOOTHED_DOMAINS to a table, writes domain_smoothing.safetensors into
// `output_folder` and prints how it does.
absl::Status TrainDomainSmoothing(const std::string& table,
                                  const std::vector<uint32_t>& in_domain_labels,
                                  const std::string& output_folder);

// Likewise the gate between the global expert and a tenant's own: local_gate_TENANT.safetensors.
absl::Status TrainLocalGate(const std::string& table, const std::string& tenant,
                            const std::string& output_folder);

}  // namespace penstock::cli
