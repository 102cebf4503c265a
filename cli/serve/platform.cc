#include "cli/serve/platform.h"

#include <grpcpp/channel.h>
#include <prometheus/registry.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/metrics/service_registry.h"
#include "common/logging/log_config.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

absl::Status In(const char* section, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(section, ".", status.message()));
}

}  // namespace

absl::StatusOr<Roles> Roles::Parse(const std::string& text) {
  Roles roles{false, false, false};
  for (const absl::string_view word : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    if (word == "gateway") {
      roles.gateway = true;
    } else if (word == "router") {
      roles.router = true;
    } else if (word == "expert") {
      roles.expert = true;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("--roles: wanted gateway, router or expert, got ", word));
    }
  }
  if (!roles.gateway && !roles.router && !roles.expert) {
    return absl::InvalidArgumentError("--roles: names no service");
  }
  return roles;
}

absl::Status Platform::Validate(const config::v1::Platform& config, const Roles& roles) {
  if (roles.expert) {
    PENSTOCK_RETURN_IF_ERROR(In("expert", expert::ExpertService::Validate(config.expert())));
  }
  if (roles.router) {
    PENSTOCK_RETURN_IF_ERROR(
        In("router", router::RouterService::Validate(config.router(), roles.expert)));
  }
  if (roles.gateway) {
    PENSTOCK_RETURN_IF_ERROR(
        In("gateway", gateway::GatewayService::Validate(config.gateway(), roles.router)));
  }
  return absl::OkStatus();
}

absl::Status Platform::CheckFiles(const config::v1::Platform& config, const Roles& roles) {
  if (roles.expert) {
    PENSTOCK_RETURN_IF_ERROR(In("expert", expert::ExpertService::CheckFiles(config.expert())));
  }
  if (!roles.router) return absl::OkStatus();
  return In("router", router::RouterService::CheckFiles(config.router()));
}

absl::StatusOr<LogOptions> Platform::ReadLog(const config::v1::Platform& config,
                                             const Roles& roles) {
  std::vector<LogSection> sections;
  if (roles.gateway) sections.push_back({"gateway", &config.gateway()});
  if (roles.router) sections.push_back({"router", &config.router()});
  if (roles.expert) sections.push_back({"expert", &config.expert()});
  return ReadLogOptions(sections);
}

absl::Status Platform::ServeMetrics(const config::v1::Server& server, const std::string& otherwise,
                                    std::shared_ptr<prometheus::Registry> registry) {
  registries_.push_back(registry);
  PENSTOCK_ASSIGN_OR_RETURN(
      std::unique_ptr<MetricsServer> metrics,
      MetricsServer::Start(server.metrics().empty() ? otherwise : server.metrics(),
                           std::move(registry), server.metrics_tls()));
  metrics_.push_back(std::move(metrics));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Platform>> Platform::Start(const config::v1::Platform& config,
                                                          const Roles& roles, const Clock& clock) {
  PENSTOCK_RETURN_IF_ERROR(Validate(config, roles));
  auto platform = std::unique_ptr<Platform>(new Platform());
  if (roles.expert) {
    expert::ExpertService::Options options;
    options.registry = std::make_shared<ServiceRegistry>();
    PENSTOCK_RETURN_IF_ERROR(platform->ServeMetrics(config.expert().server(), "127.0.0.1:8202",
                                                    options.registry));
    PENSTOCK_ASSIGN_OR_RETURN(
        platform->expert_,
        expert::ExpertService::Create(config.expert(), clock, std::move(options)));
    PENSTOCK_RETURN_IF_ERROR(platform->expert_->Start());
  }
  if (roles.router) {
    router::RouterService::Options options;
    options.registry = std::make_shared<prometheus::Registry>();
    if (platform->expert_ != nullptr) {
      options.in_process_expert = platform->expert_->InProcessChannel();
    }
    PENSTOCK_RETURN_IF_ERROR(platform->ServeMetrics(config.router().server(), "127.0.0.1:8102",
                                                    options.registry));
    PENSTOCK_ASSIGN_OR_RETURN(
        platform->router_,
        router::RouterService::Create(config.router(), clock, std::move(options)));
    PENSTOCK_RETURN_IF_ERROR(platform->router_->Start());
  }
  if (roles.gateway) {
    gateway::GatewayService::Options options;
    options.default_page = "127.0.0.1:8000";
    options.registry = std::make_shared<prometheus::Registry>();
    if (platform->router_ != nullptr) {
      options.in_process_router = platform->router_->InProcessChannel();
    }
    PENSTOCK_RETURN_IF_ERROR(platform->ServeMetrics(config.gateway().server(), "127.0.0.1:8002",
                                                    options.registry));
    PENSTOCK_ASSIGN_OR_RETURN(
        platform->gateway_,
        gateway::GatewayService::Create(config.gateway(), clock, std::move(options)));
    PENSTOCK_RETURN_IF_ERROR(platform->gateway_->Start());
  }
  return platform;
}

absl::StatusOr<PreparedReload> Platform::PrepareReload(const config::v1::Platform& next,
                                                       const Notification& give_up) {
  std::vector<PreparedReload> parts;
  PreparedReload all;
  const auto add = [&](const char* section, absl::StatusOr<PreparedReload> part) {
    if (!part.ok()) return In(section, part.status());
    for (const std::string& change : part->changes) {
      all.changes.push_back(absl::StrCat(section, ".", change));
    }
    parts.push_back(*std::move(part));
    return absl::OkStatus();
  };
  // As they start: a pool's experts may be of this process.
  if (expert_ != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(add("expert", expert_->PrepareReload(next.expert(), give_up)));
  }
  if (router_ != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(add("router", router_->PrepareReload(next.router(), give_up)));
  }
  if (gateway_ != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(add("gateway", gateway_->PrepareReload(next.gateway(), give_up)));
  }
  all.commit = [parts = std::move(parts)]() mutable {
    for (PreparedReload& part : parts) part.commit();
  };
  return all;
}

std::vector<std::string> Platform::FilesOf(const config::v1::Platform& config) const {
  std::vector<std::string> files;
  if (expert_ != nullptr) files = expert::ExpertService::FilesOf(config.expert());
  if (router_ != nullptr) {
    for (std::string& file : router::RouterService::FilesOf(config.router())) {
      files.push_back(std::move(file));
    }
  }
  return files;
}

std::vector<ServedSection> Platform::SectionsOf(const config::v1::Platform& config) const {
  std::vector<ServedSection> sections;
  if (expert_ != nullptr) sections.push_back({"expert", &config.expert(), nullptr});
  if (router_ != nullptr) sections.push_back({"router", &config.router(), nullptr});
  if (gateway_ != nullptr) sections.push_back({"gateway", &config.gateway(), nullptr});
  for (size_t i = 0; i < sections.size(); ++i) sections[i].registry = registries_[i];
  return sections;
}

std::string Platform::Fingerprint() const {
  return absl::StrCat(expert_ == nullptr ? "" : expert_->Fingerprint(), "\n",
                      router_ == nullptr ? "" : router_->Fingerprint());
}

void Platform::Drain() {
  // Each is gone, with its in-process channels, before the server at their other end stops: gRPC 1.51
  // crashes on a new call to an in-process server that has been shut down, and health watches call.
  if (gateway_ != nullptr) gateway_->Drain();
  gateway_.reset();
  if (router_ != nullptr) router_->Drain();
  router_.reset();
  if (expert_ != nullptr) expert_->Drain();
}

bool Platform::WaitUntilReady(absl::Duration timeout) const {
  if (router_ != nullptr && !router_->WaitUntilReady(timeout)) return false;
  return gateway_ == nullptr || gateway_->WaitUntilReady(timeout);
}

const std::string& Platform::address() const {
  if (gateway_ != nullptr) return gateway_->address();
  return router_ != nullptr ? router_->address() : expert_->address();
}

}  // namespace penstock::cli
