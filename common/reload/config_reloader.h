#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/notification.h"
#include "common/reload/file_watch.h"
#include "common/reload/prepared_reload.h"
#include "common/reload/reload_metrics.h"
#include "common/time/clock.h"
#include "google/protobuf/message.h"

namespace penstock {

// Reads a service's configuration again while it serves: when its file or a file that it names has
// changed, and on Request. What passes every check is built beside what serves and takes its place
// at once; anything else is refused, with a line in the log and a count, and what serves stays. One
// thread does it all, one reload at a time.
class ConfigReloader {
 public:
  static constexpr absl::Duration kTend = absl::Seconds(10);

  struct Service {
    // Checks and builds; may block, and ends soon once `give_up` is notified. Runs on the
    // reloader's thread, as do the others.
    std::function<absl::StatusOr<PreparedReload>(const google::protobuf::Message& next,
                                                 const Notification& give_up)>
        prepare;
    // Files whose change is a change of the configuration, beside its own.
    std::function<std::vector<std::string>(const google::protobuf::Message& config)> files;
    // What the service was built from beside the configuration's text, so that equal ones have
    // equal versions.
    std::function<std::string()> fingerprint;
    // Looks after files that are no part of the configuration, each `kTend`. May be empty.
    std::function<void()> tend;
  };
  struct Options {
    std::string config_file;
    // Sets what the command line says rather than the file. May be empty.
    std::function<absl::Status(google::protobuf::Message&)> adjust;
    // How often files are looked at, should nothing tell of a change.
    absl::Duration poll = absl::Seconds(1);
    // A file is read once it has stayed as it is for this long, but not later than
    // `longest_settle`.
    absl::Duration settle = absl::Milliseconds(100);
    absl::Duration longest_settle = absl::Seconds(2);
    bool inotify = true;
  };

  // `running`: the configuration that serves. Nothing is watched before Start. `clock` and what the
  // service's functions use outlive it.
  ConfigReloader(Options options, const google::protobuf::Message& running, Service service,
                 const Clock& clock,
                 const std::vector<std::shared_ptr<prometheus::Registry>>& registries);
  // A reload under way ends first.
  ~ConfigReloader();

  void Start();
  // Reads the configuration again soon, changed or not. From any thread.
  void Request();

  // Reloads so far, refused ones too.
  uint64_t reloads() const;
  // Until there were so many. False when `timeout` passed first.
  bool WaitForReloads(uint64_t count, absl::Duration timeout) const;

 private:
  void Run();
  // Until files stay as they are.
  void Settle();
  void Reload();
  void Tend();
  // The status says why what serves stays; the strings, what changed.
  absl::StatusOr<std::vector<std::string>> TryReload();
  void WatchFiles();
  // Whether what serves was built from this.
  bool IsRunning(const std::string& text) const;
  uint64_t Version() const;

  const Options options_;
  const Service service_;
  const Clock& clock_;
  ReloadMetrics metrics_;
  FileWatch watch_;
  Notification stop_;
  // Of the thread.
  std::unique_ptr<google::protobuf::Message> running_;
  std::string running_text_;
  // Files that what was refused last names too: mending them is to be seen.
  std::vector<std::string> refused_files_;
  absl::Time tended_ = absl::InfinitePast();
  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool requested_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t reloads_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace penstock
