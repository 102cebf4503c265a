#include "router_service/recording/decision_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

constexpr uint32_t kDefaultCapacity = 10'000;
constexpr uint32_t kLargestCapacity = 10'000'000;
constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;
constexpr uint64_t kLargestSegmentUnasked = 64 * kMiB;

absl::Status Within(absl::string_view field, uint64_t value, uint64_t least, uint64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("decision_log.", field, " is ", value, ", wanted ",
                                                 least, " to ", most));
}

absl::Status Within(absl::string_view field, absl::Duration value, absl::Duration least,
                    absl::Duration most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("decision_log.", field, " is ", absl::FormatDuration(value), ", wanted ",
                   absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
}

absl::Duration DurationOf(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

// What a configuration says, with what it leaves unsaid.
struct Settings {
  uint32_t capacity;
  LogWriterOptions log;
  DecisionWriter::Options writer;
};

absl::StatusOr<Settings> SettingsOf(const config::v1::DecisionLog& config) {
  Settings settings;
  settings.capacity = config.has_capacity() ? config.capacity() : kDefaultCapacity;
  PENSTOCK_RETURN_IF_ERROR(Within("capacity", settings.capacity, 1, kLargestCapacity));
  LogWriterOptions& log = settings.log;
  if (config.has_max_bytes()) log.max_bytes = config.max_bytes();
  PENSTOCK_RETURN_IF_ERROR(Within("max_bytes", log.max_bytes, kMiB, 16 * 1024 * kGiB));
  log.segment_bytes = config.has_segment_bytes()
                          ? config.segment_bytes()
                          : std::min(log.max_bytes / 16, kLargestSegmentUnasked);
  PENSTOCK_RETURN_IF_ERROR(
      Within("segment_bytes", log.segment_bytes, 64 * kKiB, log.max_bytes / 4));
  if (config.has_max_age()) log.max_age = DurationOf(config.max_age());
  PENSTOCK_RETURN_IF_ERROR(
      Within("max_age", log.max_age, absl::Minutes(1), absl::Hours(24 * 3653)));
  if (config.has_fsync_interval()) {
    settings.writer.sync_interval = DurationOf(config.fsync_interval());
  }
  PENSTOCK_RETURN_IF_ERROR(Within("fsync_interval", settings.writer.sync_interval,
                                  absl::Milliseconds(1), absl::Seconds(10)));
  if (config.has_queue_bytes()) settings.writer.most_bytes = config.queue_bytes();
  PENSTOCK_RETURN_IF_ERROR(
      Within("queue_bytes", settings.writer.most_bytes, 64 * kKiB, 4 * kGiB));
  if (config.features() && config.directory().empty()) {
    return absl::InvalidArgumentError("decision_log.features: wanted a directory to hold them");
  }
  return settings;
}

}  // namespace

DecisionWatch::DecisionWatch(std::string pool, absl::AnyInvocable<void()> ready)
    : pool_(std::move(pool)), ready_(std::move(ready)) {}

SharedDecision DecisionWatch::TryNext() {
  MutexLock lock(mutex_);
  if (queue_.empty()) return nullptr;
  SharedDecision next = std::move(queue_.front());
  queue_.pop_front();
  return next;
}

uint64_t DecisionWatch::dropped() const {
  MutexLock lock(mutex_);
  return dropped_;
}

void DecisionWatch::Close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
    queue_.clear();
  }
  MutexLock lock(ready_mutex_);
  ready_ = nullptr;
}

bool DecisionWatch::closed() const {
  MutexLock lock(mutex_);
  return closed_;
}

bool DecisionWatch::Offer(const SharedDecision& decision) {
  if (!pool_.empty() && decision->pool() != pool_) return !closed();
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    if (queue_.size() >= kQueue) {
      ++dropped_;
      return true;
    }
    queue_.push_back(decision);
    if (queue_.size() > 1) return true;
  }
  MutexLock lock(ready_mutex_);
  if (ready_) ready_();
  return true;
}

absl::Status DecisionLog::Validate(const config::v1::DecisionLog& config) {
  return SettingsOf(config).status();
}

absl::StatusOr<std::unique_ptr<DecisionLog>> DecisionLog::Create(
    const config::v1::DecisionLog& config, uint32_t instance, const Clock& clock,
    HeadSynced head_synced) {
  PENSTOCK_ASSIGN_OR_RETURN(Settings settings, SettingsOf(config));
  std::unique_ptr<DecisionWriter> writer;
  if (!config.directory().empty()) {
    settings.log.router = settings.writer.router = instance;
    settings.log.head_synced = std::move(head_synced);
    auto log = LogWriter::Open(config.directory(), std::move(settings.log), clock);
    if (!log.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("decision_log.directory ", log.status().message()));
    }
    writer = std::make_unique<DecisionWriter>(*std::move(log), settings.writer);
  }
  return std::unique_ptr<DecisionLog>(new DecisionLog(settings.capacity, instance,
                                                      config.features(), clock, std::move(writer)));
}

DecisionLog::DecisionLog(size_t capacity, uint32_t instance, bool exports_features,
                         const Clock& clock, std::unique_ptr<DecisionWriter> writer)
    : capacity_(capacity),
      instance_(instance),
      exports_features_(exports_features),
      clock_(clock),
      writer_(std::move(writer)) {}

void DecisionLog::Append(SharedDecision decision, std::unique_ptr<v1::Features> features,
                         std::unique_ptr<v1::ChoiceRecord> choice) {
  const auto id = DecisionId::Parse(decision->id());
  if (id.ok() && id->instance == instance_) {
    SharedDecision evicted;  // freed outside the lock
    MutexLock lock(mutex_);
    const auto known = slots_.find(id->sequence);
    if (known != slots_.end()) {
      evicted = std::exchange(ring_[known->second].decision, decision);
    } else if (ring_.size() < capacity_) {
      slots_[id->sequence] = ring_.size();
      ring_.push_back({id->sequence, decision});
    } else {
      Kept& oldest = ring_[next_];
      slots_.erase(oldest.sequence);
      slots_[id->sequence] = next_;
      evicted = std::exchange(oldest.decision, decision);
      oldest.sequence = id->sequence;
      next_ = (next_ + 1) % capacity_;
    }
  }
  if (writer_ != nullptr) writer_->Append(decision, std::move(features), std::move(choice));
  Publish(decision);
}

void DecisionLog::AppendAudit(v1::AuditRecord audit) {
  if (writer_ == nullptr) return;
  const absl::Time now = clock_.Now();
  const int64_t seconds = absl::ToUnixSeconds(now);
  audit.mutable_time()->set_seconds(seconds);
  audit.mutable_time()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(now - absl::FromUnixSeconds(seconds))));
  writer_->Append(std::make_unique<v1::AuditRecord>(std::move(audit)));
}

void DecisionLog::Publish(const SharedDecision& decision) {
  std::vector<std::shared_ptr<DecisionWatch>> watches;
  {
    MutexLock lock(watch_mutex_);
    if (watches_.empty()) return;
    for (const auto& weak : watches_) {
      if (auto watch = weak.lock()) watches.push_back(std::move(watch));
    }
  }
  bool gone = false;
  for (const auto& watch : watches) gone |= !watch->Offer(decision);
  MutexLock lock(watch_mutex_);
  if (!gone && watches.size() == watches_.size()) return;
  watches_.erase(std::remove_if(watches_.begin(), watches_.end(),
                                [](const std::weak_ptr<DecisionWatch>& weak) {
                                  const auto watch = weak.lock();
                                  return watch == nullptr || watch->closed();
                                }),
                 watches_.end());
}

absl::StatusOr<SharedDecision> DecisionLog::Find(absl::string_view text) const {
  const auto id = DecisionId::Parse(text);
  if (!id.ok()) return id.status();
  MutexLock lock(mutex_);
  const auto slot = id->instance == instance_ ? slots_.find(id->sequence) : slots_.end();
  if (slot == slots_.end()) {
    return absl::NotFoundError(absl::StrCat("decision ", text, " is not kept by this router"));
  }
  return ring_[slot->second].decision;
}

std::vector<SharedDecision> DecisionLog::Recent(size_t count, absl::string_view pool) const {
  std::vector<SharedDecision> recent;
  MutexLock lock(mutex_);
  for (size_t back = 1; back <= ring_.size() && recent.size() < count; ++back) {
    const SharedDecision& decision = ring_[(next_ + ring_.size() - back) % ring_.size()].decision;
    if (pool.empty() || decision->pool() == pool) recent.push_back(decision);
  }
  return recent;
}

absl::Status DecisionLog::Report(absl::string_view id, double quality, absl::string_view tenant,
                                 SharedDecision* first) {
  if (!(quality >= 0 && quality <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("quality is ", quality, ", wanted 0 to 1"));
  }
  const auto found = Find(id);
  if (absl::IsNotFound(found.status()) && writer_ != nullptr) {
    auto report = std::make_shared<v1::Decision>();
    report->set_id(std::string(id));
    report->set_tenant(std::string(tenant));
    report->set_reported_quality(quality);
    writer_->Append(std::move(report));
    return absl::OkStatus();
  }
  if (!found.ok()) return found.status();
  if (!tenant.empty() && (*found)->tenant() != tenant) {
    return absl::PermissionDeniedError(absl::StrCat("decision ", id, " is another tenant's"));
  }
  auto reported = std::make_shared<v1::Decision>(**found);
  reported->set_reported_quality(quality);
  {
    MutexLock lock(mutex_);
    const auto slot = slots_.find(DecisionId::Parse(id)->sequence);
    // It may have left the ring in between; the folder still learns of it.
    if (slot != slots_.end()) {
      SharedDecision& kept = ring_[slot->second].decision;
      if (first != nullptr && !kept->has_reported_quality()) *first = reported;
      kept = reported;
    }
  }
  if (writer_ != nullptr) writer_->Append(reported);
  Publish(reported);
  return absl::OkStatus();
}

std::shared_ptr<DecisionWatch> DecisionLog::Watch(absl::string_view pool,
                                                  absl::AnyInvocable<void()> ready) {
  auto watch = std::make_shared<DecisionWatch>(std::string(pool), std::move(ready));
  MutexLock lock(watch_mutex_);
  watches_.push_back(watch);
  return watch;
}

std::optional<DecisionWriter::State> DecisionLog::folder_state() const {
  if (writer_ == nullptr) return std::nullopt;
  return writer_->state();
}

}  // namespace penstock::router
