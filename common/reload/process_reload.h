#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/metrics/certificate_metrics.h"
#include "common/reload/prepared_reload.h"
#include "google/protobuf/message.h"

namespace penstock {

// One service of a process: its configuration, where that stands in the file ("" or "gateway"), and
// what it exports, if anything.
struct ServedSection {
  std::string name;
  const google::protobuf::Message* config;
  std::shared_ptr<prometheus::Registry> registry;
};

// What a configuration says of the process rather than of a service: its log, and the certificates
// that its metrics watch. Of the reloader's thread.
class ProcessReload {
 public:
  // The log has been set already. As many sections, in the same order, come with each reload.
  explicit ProcessReload(const std::vector<ServedSection>& running);

  // The services' reload and the process's in one. INVALID_ARGUMENT names the field.
  absl::StatusOr<PreparedReload> Join(const std::vector<ServedSection>& next,
                                      PreparedReload services);
  // Reads files that are replaced without a reload.
  void Tend();

 private:
  std::vector<std::unique_ptr<CertificateMetrics>> certificates_;  // null: nothing is exported
};

}  // namespace penstock
