#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/net/service_main.h"
#include "common/reload/config_reloader.h"

namespace penstock {

// Starts reloading for a service that has PrepareReload, FilesOf and Fingerprint. Ended before the
// service drains.
template <typename Config, typename Service>
std::unique_ptr<ConfigReloader> ReloadService(
    const ServiceFlags& flags, const Config& running, Service& service, const Clock& clock,
    const std::vector<std::shared_ptr<prometheus::Registry>>& registries) {
  ConfigReloader::Service parts;
  parts.prepare = [&service](const google::protobuf::Message& next, const Notification& give_up) {
    return service.PrepareReload(static_cast<const Config&>(next), give_up);
  };
  parts.files = [&service](const google::protobuf::Message& config) {
    return service.FilesOf(static_cast<const Config&>(config));
  };
  parts.fingerprint = [&service] { return service.Fingerprint(); };
  ConfigReloader::Options options;
  options.config_file = flags.config_file;
  options.adjust = [flags](google::protobuf::Message& config) { return ApplyFlags(flags, config); };
  auto reloader = std::make_unique<ConfigReloader>(std::move(options), running, std::move(parts),
                                                   clock, registries);
  reloader->Start();
  return reloader;
}

}  // namespace penstock
