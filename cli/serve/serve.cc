#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/serve/platform.h"
#include "common/config/yaml_config.h"
#include "common/logging/log.h"
#include "common/net/service_main.h"
#include "common/reload/reload_service.h"
#include "common/status_macros.h"
#include "common/time/clock.h"

namespace penstock::cli {
namespace {

struct ServeOptions {
  std::string config_file;
  std::string roles = "gateway,router,expert";
  std::string ready_file;
  bool validate = false;
};

// Experts of other processes may start later: said once, and then waited for all the same.
constexpr absl::Duration kPatience = absl::Seconds(10);

absl::Status RunServe(const ServeOptions& options) {
  SignalWaiter signals;
  config::v1::Platform config;
  PENSTOCK_RETURN_IF_ERROR(ReadYamlFile(options.config_file, config));
  PENSTOCK_ASSIGN_OR_RETURN(const Roles roles, Roles::Parse(options.roles));
  PENSTOCK_ASSIGN_OR_RETURN(const LogOptions log, Platform::ReadLog(config, roles));
  EventLog::OfProcess().Configure(log);
  if (options.validate) {
    PENSTOCK_RETURN_IF_ERROR(Platform::Validate(config, roles));
    PENSTOCK_RETURN_IF_ERROR(Platform::CheckFiles(config, roles));
    std::printf("%s is valid\n", options.config_file.c_str());
    return absl::OkStatus();
  }
  const RealClock clock;
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<Platform> platform,
                            Platform::Start(config, roles, clock));
  if (!platform->WaitUntilReady(kPatience)) {
    LogWarning("not_ready").With("reason", "a pool has no healthy expert, or no router answers");
  }
  // Before anybody is told: what changes from then on is seen.
  auto reloader = ReloadService(ServiceFlags{options.config_file, ""}, config, *platform, clock,
                                platform->registries());
  PENSTOCK_RETURN_IF_ERROR(AnnounceReady(platform->address(), platform->page_address(),
                                         platform->metrics_address(), options.ready_file));
  signals.Wait([&] { reloader->Request(); });
  reloader.reset();
  platform->Drain();
  return absl::OkStatus();
}

}  // namespace

void RegisterServe(CLI::App& app, Run& run) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App& command = *app.add_subcommand(
      "serve",
      "Runs gateway, router and expert service in one process, from one file (see docs/configuration.md).\n"
      "Prints `ready grpc=HOST:PORT ...` once requests are answered; SIGTERM drains and stops, SIGHUP reads\n"
      "the file again, as does a change of it (see docs/reload.md)");
  command.add_option("--config", options->config_file, "YAML with sections gateway, router, expert")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--roles", options->roles, "services to run, comma-separated")
      ->capture_default_str();
  command.add_option("--ready_file", options->ready_file, "writes the ready line to this file too");
  command.add_flag("--validate_config", options->validate, "check the configuration and the files that it names, and exit");
  command.callback([options, &run] { run = [options] { return RunServe(*options); }; });
}

}  // namespace penstock::cli
