#include "common/reload/process_reload.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "common/logging/log.h"
#include "common/logging/log_config.h"
#include "common/status_macros.h"

namespace penstock {

ProcessReload::ProcessReload(const std::vector<ServedSection>& running) {
  for (const ServedSection& section : running) {
    if (section.registry == nullptr) {
      certificates_.push_back(nullptr);
      continue;
    }
    certificates_.push_back(std::make_unique<CertificateMetrics>(*section.registry));
    certificates_.back()->Use(CertificateFilesOf(*section.config));
  }
}

absl::StatusOr<PreparedReload> ProcessReload::Join(const std::vector<ServedSection>& next,
                                                   PreparedReload services) {
  std::vector<LogSection> logs;
  std::vector<CertificateFiles> files;
  for (const ServedSection& section : next) {
    logs.push_back({section.name, section.config});
    files.push_back(CertificateFilesOf(*section.config));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const LogOptions log, ReadLogOptions(logs));
  // Services that tell all their fields have told of it.
  const bool told = std::any_of(
      services.changes.begin(), services.changes.end(),
      [](const std::string& change) { return absl::StrContains(change, "server.log"); });
  if (!told && !(log == EventLog::OfProcess().options())) services.changes.push_back("server.log");
  PreparedReload joined;
  joined.changes = std::move(services.changes);
  joined.commit = [this, log, files = std::move(files),
                   commit = std::move(services.commit)]() mutable {
    if (commit) commit();
    EventLog::OfProcess().Configure(log);
    for (size_t i = 0; i < files.size() && i < certificates_.size(); ++i) {
      if (certificates_[i] != nullptr) certificates_[i]->Use(std::move(files[i]));
    }
  };
  return joined;
}

void ProcessReload::Tend() {
  for (const auto& certificates : certificates_) {
    if (certificates != nullptr) certificates->Refresh();
  }
}

}  // namespace penstock
