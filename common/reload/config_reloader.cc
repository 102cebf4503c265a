#include "common/reload/config_reloader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/config/yaml_config.h"
#include "common/logging/log.h"
#include "common/net/service_manager.h"
#include "common/reload/config_text.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "google/protobuf/util/message_differencer.h"

namespace penstock {
namespace {

// Told of one reload at most; a catalogue of hundreds of pools may change.
constexpr size_t kMostToldChanges = 32;
constexpr size_t kMostToldBytes = 4096;

std::string VersionText(uint64_t version) { return absl::StrFormat("%012x", version); }

}  // namespace

ConfigReloader::ConfigReloader(Options options, const google::protobuf::Message& running,
                               Service service, const Clock& clock,
                               const std::vector<std::shared_ptr<prometheus::Registry>>& registries)
    : options_(std::move(options)),
      service_(std::move(service)),
      clock_(clock),
      metrics_(registries),
      watch_(options_.inotify),
      running_(running.New()) {
  running_->CopyFrom(running);
  if (!options_.config_file.empty()) {
    running_text_ = ReadConfigText(options_.config_file).value_or("");
    // A service takes its time to start, and its file may have changed meanwhile.
    MutexLock lock(mutex_);
    requested_ = !IsRunning(running_text_);
  }
  metrics_.Started(Version(), clock_.Now());
  WatchFiles();
}

bool ConfigReloader::IsRunning(const std::string& text) const {
  std::unique_ptr<google::protobuf::Message> read(running_->New());
  if (!ReadYaml(text, *read).ok()) return false;
  if (options_.adjust && !options_.adjust(*read).ok()) return false;
  return google::protobuf::util::MessageDifferencer::Equals(*read, *running_);
}

ConfigReloader::~ConfigReloader() {
  stop_.Notify();
  watch_.Wake();
  if (thread_.joinable()) thread_.join();
}

void ConfigReloader::Start() {
  thread_ = std::thread([this] { Run(); });
}

void ConfigReloader::Request() {
  {
    MutexLock lock(mutex_);
    requested_ = true;
  }
  watch_.Wake();
}

uint64_t ConfigReloader::reloads() const {
  MutexLock lock(mutex_);
  return reloads_;
}

bool ConfigReloader::WaitForReloads(uint64_t count, absl::Duration timeout) const {
  const absl::Time until = absl::Now() + timeout;
  MutexLock lock(mutex_);
  while (reloads_ < count) {
    const absl::Duration left = until - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    changed_.WaitFor(mutex_, left);
  }
  return true;
}

void ConfigReloader::Run() {
  while (!stop_.HasBeenNotified()) {
    bool requested = false;
    {
      MutexLock lock(mutex_);
      requested = std::exchange(requested_, false);
    }
    if (watch_.Changed()) {
      Settle();
    } else if (!requested) {
      Tend();
      watch_.Wait(options_.poll);
      continue;
    }
    if (stop_.HasBeenNotified()) return;
    ServiceManager::Reloading();
    Reload();
    // Whoever stops has said so by then, and is not ready again.
    if (!stop_.HasBeenNotified()) ServiceManager::Ready();
    MutexLock lock(mutex_);
    ++reloads_;
    changed_.NotifyAll();
  }
}

void ConfigReloader::Settle() {
  const absl::Time until = absl::Now() + options_.longest_settle;
  while (absl::Now() < until && !stop_.WaitWithTimeout(options_.settle) && watch_.Changed()) {
  }
}

void ConfigReloader::Tend() {
  if (!service_.tend || clock_.Now() < tended_ + kTend) return;
  tended_ = clock_.Now();
  service_.tend();
}

void ConfigReloader::Reload() {
  const absl::StatusOr<std::vector<std::string>> changes = TryReload();
  WatchFiles();
  const uint64_t version = Version();
  if (!changes.ok()) {
    if (stop_.HasBeenNotified()) return;
    metrics_.Refused();
    LogError("config_reload")
        .With("config", options_.config_file)
        .With("reload", "refused")
        .With("keeps", VersionText(version))
        .With("reason", changes.status().message());
    return;
  }
  if (changes->empty()) {
    metrics_.Unchanged();
    LogInfo("config_reload")
        .With("config", options_.config_file)
        .With("reload", "unchanged")
        .With("version", VersionText(version));
    return;
  }
  metrics_.Applied(version, clock_.Now());
  std::vector<std::string> told = *changes;
  if (told.size() > kMostToldChanges) {
    told.resize(kMostToldChanges);
    told.push_back(absl::StrCat("and ", changes->size() - kMostToldChanges, " more"));
  }
  LogInfo("config_reload")
      .With("config", options_.config_file)
      .With("reload", "applied")
      .With("version", VersionText(version))
      .WithUpTo(kMostToldBytes, "changed", absl::StrJoin(told, ", "));
}

absl::StatusOr<std::vector<std::string>> ConfigReloader::TryReload() {
  refused_files_.clear();
  if (options_.config_file.empty()) {
    return absl::FailedPreconditionError("no configuration file was named at the start (--config)");
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::string text, ReadConfigText(options_.config_file));
  PENSTOCK_RETURN_IF_ERROR(CheckWhole(running_text_, text));
  std::unique_ptr<google::protobuf::Message> next(running_->New());
  PENSTOCK_RETURN_IF_ERROR(ReadYaml(text, *next));
  if (options_.adjust) PENSTOCK_RETURN_IF_ERROR(options_.adjust(*next));
  // Known as they are before they are read: what changes meanwhile is seen afterwards.
  refused_files_ = service_.files(*next);
  WatchFiles();
  PENSTOCK_ASSIGN_OR_RETURN(PreparedReload prepared, service_.prepare(*next, stop_));
  refused_files_.clear();
  if (prepared.commit) prepared.commit();
  running_ = std::move(next);
  running_text_ = std::move(text);
  return std::move(prepared.changes);
}

void ConfigReloader::WatchFiles() {
  // The configuration first: of very many files the last ones are not watched.
  std::vector<std::string> paths;
  if (!options_.config_file.empty()) paths.push_back(options_.config_file);
  const std::vector<std::string> named = service_.files(*running_);
  paths.insert(paths.end(), named.begin(), named.end());
  paths.insert(paths.end(), refused_files_.begin(), refused_files_.end());
  watch_.SetPaths(std::move(paths));
}

uint64_t ConfigReloader::Version() const {
  const std::string built_from = absl::StrCat(running_text_, "\n", service_.fingerprint());
  const Sha256Digest digest = Sha256(built_from);
  uint64_t version = 0;
  for (size_t i = 0; i < 6; ++i) version = version << 8 | digest[i];
  return version;
}

}  // namespace penstock
