#pragma once

#include <csignal>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace penstock {

// What every service's main() does the same way.

// The process's log and process-wide settings. First in main().
void InitProcess(absl::string_view service);

// SIGTERM, SIGINT and SIGHUP as calls. Construct before any thread is started: threads inherit the
// blocked signals.
class SignalWaiter {
 public:
  SignalWaiter();
  // SIGTERM or SIGINT, whichever came; who started the process is told that it stops. Until then
  // `on_hangup` runs at each SIGHUP.
  int Wait(const std::function<void()>& on_hangup = {});

 private:
  sigset_t signals_;
};

// What was said on the command line beside the configuration.
struct ServiceFlags {
  std::string config_file;  // empty: every field has its default
  std::string ready_file;   // empty: the configuration's
};

// --config FILE, --validate_config, --ready_file, --version, --help. Fills `config` and returns
// nothing when the service is to run, else the exit code; messages are printed. `validate` checks
// what the schema cannot say; `check_files`, for --validate_config alone, the files that it names.
// Both may be empty. The configuration's `server.ready_file` takes --ready_file. `flags`, where
// given, takes what a later reading of the file needs.
std::optional<int> ParseServiceFlags(int argc, char** argv, absl::string_view name,
                                     absl::string_view description,
                                     google::protobuf::Message& config,
                                     const std::function<absl::Status()>& validate = {},
                                     const std::function<absl::Status()>& check_files = {},
                                     ServiceFlags* flags = nullptr);
// What the flags say instead of the file, once the file was read again.
absl::Status ApplyFlags(const ServiceFlags& flags, google::protobuf::Message& config);

// Prints `ready grpc=... http=... metrics=...` on stdout and writes it to `ready_file` unless that
// is empty; tells who started the process, too. "-" stands for what is not served.
absl::Status AnnounceReady(absl::string_view grpc, absl::string_view http,
                           absl::string_view metrics,
                           const std::string& ready_file);

}  // namespace penstock
