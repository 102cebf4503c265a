#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/net/service_main.h"
#include "common/reload/config_reloader.h"
#include "common/reload/process_reload.h"
#include "common/status_macros.h"

namespace penstock {

// Starts reloading for a service that has PrepareReload, FilesOf and Fingerprint, and SectionsOf
// where it is several. Ended before the service drains.
template <typename Config, typename Service>
std::unique_ptr<ConfigReloader> ReloadService(
    const ServiceFlags& flags, const Config& running, Service& service, const Clock& clock,
    const std::vector<std::shared_ptr<prometheus::Registry>>& registries) {
  const auto sections = [&service, registries](const Config& config) {
    if constexpr (requires { service.SectionsOf(config); }) {
      return service.SectionsOf(config);
    } else {
      return std::vector<ServedSection>{
          {"", &config, registries.empty() ? nullptr : registries.front()}};
    }
  };
  const auto process = std::make_shared<ProcessReload>(sections(running));
  ConfigReloader::Service parts;
  parts.prepare = [&service, process, sections](
                      const google::protobuf::Message& message,
                      const Notification& give_up) -> absl::StatusOr<PreparedReload> {
    const auto& next = static_cast<const Config&>(message);
    PENSTOCK_ASSIGN_OR_RETURN(PreparedReload prepared, service.PrepareReload(next, give_up));
    return process->Join(sections(next), std::move(prepared));
  };
  parts.files = [&service](const google::protobuf::Message& config) {
    return service.FilesOf(static_cast<const Config&>(config));
  };
  parts.fingerprint = [&service] { return service.Fingerprint(); };
  parts.tend = [process] { process->Tend(); };
  ConfigReloader::Options options;
  options.config_file = flags.config_file;
  options.adjust = [flags](google::protobuf::Message& config) { return ApplyFlags(flags, config); };
  auto reloader = std::make_unique<ConfigReloader>(std::move(options), running, std::move(parts),
                                                   clock, registries);
  reloader->Start();
  return reloader;
}

}  // namespace penstock
