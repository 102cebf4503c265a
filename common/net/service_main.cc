#include "common/net/service_main.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <pthread.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/config/yaml_config.h"
#include "common/logging/log_config.h"
#include "common/net/library_log.h"
#include "common/net/service_manager.h"

namespace penstock {
namespace {

// Sets `server.ready_file` of any service's configuration; false where there is none.
bool SetReadyFile(google::protobuf::Message& config, const std::string& path) {
  const auto* server = config.GetDescriptor()->FindFieldByName("server");
  if (server == nullptr || server->message_type() == nullptr) return false;
  const auto* field = server->message_type()->FindFieldByName("ready_file");
  if (field == nullptr) return false;
  google::protobuf::Message* message = config.GetReflection()->MutableMessage(&config, server);
  message->GetReflection()->SetString(message, field, path);
  return true;
}

}  // namespace

void InitProcess(absl::string_view service) {
  EventLog::OfProcess().SetService(service);
  LogForLibraries();
  // The system's Abseil checks every lock for deadlocks, a tenth of a call's cost.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  std::signal(SIGPIPE, SIG_IGN);
}

SignalWaiter::SignalWaiter() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

int SignalWaiter::Wait(const std::function<void()>& on_hangup) {
  for (;;) {
    int signal = 0;
    sigwait(&signals_, &signal);
    if (signal != SIGHUP) {
      ServiceManager::Stopping();
      return signal;
    }
    if (on_hangup) on_hangup();
  }
}

std::optional<int> ParseServiceFlags(int argc, char** argv, absl::string_view name,
                                     absl::string_view description,
                                     google::protobuf::Message& config,
                                     const std::function<absl::Status()>& validate,
                                     const std::function<absl::Status()>& check_files,
                                     ServiceFlags* flags) {
  CLI::App app{std::string(description), std::string(name)};
  std::string config_file, ready_file;
  bool validate_only = false;
  app.add_option("--config", config_file,
                 absl::StrCat("YAML file of message ", config.GetDescriptor()->full_name(),
                              " (see docs/configuration.md); without it every field has its default"))
      ->type_name("FILE");
  app.add_flag("--validate_config", validate_only,
               "check the configuration and the files that it names, say what is wrong, and exit");
  app.add_option("--ready_file", ready_file,
                 "write the line `ready grpc=HOST:PORT http=HOST:PORT metrics=HOST:PORT` here once "
                 "calls are accepted; it is printed on stdout too")
      ->type_name("FILE");
  app.set_version_flag("--version", absl::StrCat(name, " ", PENSTOCK_VERSION));
  app.footer(
      "SIGTERM or SIGINT drains: health says NOT_SERVING, calls under way are answered. SIGHUP reads "
      "the configuration again, as does a change of its file (see docs/reload.md).");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  absl::Status status;
  if (!config_file.empty()) status = ReadYamlFile(config_file, config);
  const absl::StatusOr<LogOptions> log = ReadLogOptions({{"", &config}});
  if (status.ok()) status = log.status();
  if (status.ok() && validate) status = validate();
  if (status.ok() && validate_only && check_files) status = check_files();
  if (!status.ok()) {
    std::cerr << name << ": " << status.message() << "\n";
    return 2;
  }
  if (validate_only) {
    std::cout << (config_file.empty() ? "defaults" : config_file) << ": ok\n";
    return 0;
  }
  const ServiceFlags given = {config_file, ready_file};
  if (const absl::Status applied = ApplyFlags(given, config); !applied.ok()) {
    std::cerr << name << ": " << applied.message() << "\n";
    return 2;
  }
  EventLog::OfProcess().Configure(*log);
  if (flags != nullptr) *flags = given;
  return std::nullopt;
}

absl::Status ApplyFlags(const ServiceFlags& flags, google::protobuf::Message& config) {
  if (flags.ready_file.empty() || SetReadyFile(config, flags.ready_file)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--ready_file: this configuration has no server.ready_file");
}

absl::Status AnnounceReady(absl::string_view grpc, absl::string_view http,
                           absl::string_view metrics, const std::string& ready_file) {
  const std::string line =
      absl::StrCat("ready grpc=", grpc, " http=", http, " metrics=", metrics, "\n");
  if (!ready_file.empty()) {
    // Renamed into place: who sees the file sees the whole line.
    const std::string temporary = ready_file + ".tmp";
    std::ofstream file(temporary, std::ios::trunc);
    file << line;
    file.close();
    if (!file || std::rename(temporary.c_str(), ready_file.c_str()) != 0) {
      return absl::InvalidArgumentError(absl::StrCat("server.ready_file: cannot write ", ready_file));
    }
  }
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  ServiceManager::Ready();
  return absl::OkStatus();
}

}  // namespace penstock
