#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/support/temp_dir.h"

namespace penstock {

// Asks again every few milliseconds until it is so. False when `patience` has passed.
bool Eventually(const std::function<bool()>& is_so, absl::Duration patience = absl::Seconds(20));

// Runs a command to its end; its exit code, and what it printed in `output`.
int RunCommand(const std::vector<std::string>& command, std::string& output);

// One of the built binaries, running.
class Process {
 public:
  // Starts `binary` with a configuration file of this text and waits for its ready line. Null, and
  // a failure of the test with the log, when it ends before or takes too long. `leading`: arguments
  // that come first.
  static std::unique_ptr<Process> Start(const std::string& binary, const std::string& config,
                                        const std::vector<std::string>& leading = {});
  // Kills it if it still runs. A test that failed shows the log.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // HOST:PORT of the ready line.
  const std::string& grpc() const { return grpc_; }
  const std::string& metrics() const { return metrics_; }

  // Puts another text in the place of its configuration file, at once.
  void Reconfigure(const std::string& config);

  void Hangup();     // SIGHUP
  void Terminate();  // SIGTERM
  void Kill();       // SIGKILL
  void Pause();      // SIGSTOP
  void Resume();     // SIGCONT
  // The exit code, negative for a signal; nothing when it still runs after `patience`.
  std::optional<int> Wait(absl::Duration patience = absl::Seconds(40));
  // SIGTERM and Wait.
  std::optional<int> Stop();
  bool running();
  // What it has written to stdout and stderr.
  std::string Log() const;

 private:
  explicit Process(std::string name) : name_(std::move(name)) {}
  bool WaitUntilReady();

  const std::string name_;
  TempDir folder_;
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
  std::string grpc_;
  std::string metrics_;
};

}  // namespace penstock
