#include "router_service/recording/decision_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr uint32_t kDefaultCapacity = 10'000;
constexpr uint32_t kLargestCapacity = 10'000'000;

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

absl::StatusOr<std::unique_ptr<DecisionLog>> DecisionLog::Create(
    const config::v1::DecisionLog& config, uint32_t instance) {
  const uint32_t capacity = config.has_capacity() ? config.capacity() : kDefaultCapacity;
  if (capacity < 1 || capacity > kLargestCapacity) {
    return absl::InvalidArgumentError(
        absl::StrCat("decision_log.capacity is ", capacity, ", wanted 1 to ", kLargestCapacity));
  }
  std::unique_ptr<DecisionExport> file;
  if (!config.export_file().empty()) {
    auto opened =
        DecisionExport::Open(config.export_file(), DecisionExport::kQueue, instance);
    if (!opened.ok()) return opened.status();
    file = *std::move(opened);
  }
  if (config.features() && file == nullptr) {
    return absl::InvalidArgumentError("decision_log.features: wanted an export_file to hold them");
  }
  return std::unique_ptr<DecisionLog>(
      new DecisionLog(capacity, instance, config.features(), std::move(file)));
}

DecisionLog::DecisionLog(size_t capacity, uint32_t instance, bool exports_features,
                         std::unique_ptr<DecisionExport> file)
    : capacity_(capacity),
      instance_(instance),
      exports_features_(exports_features),
      export_(std::move(file)) {}

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
  if ((features == nullptr && choice == nullptr) || export_ == nullptr) {
    return Publish(decision, decision);
  }
  auto line = std::make_shared<v1::Decision>(*decision);
  line->set_allocated_features(features.release());
  line->set_allocated_choice(choice.release());
  Publish(decision, line);
}

void DecisionLog::Publish(const SharedDecision& decision, const SharedDecision& line) {
  if (export_ != nullptr) export_->Append(line);
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
  if (absl::IsNotFound(found.status()) && export_ != nullptr) {
    auto line = std::make_shared<v1::Decision>();
    line->set_id(std::string(id));
    line->set_tenant(std::string(tenant));
    line->set_reported_quality(quality);
    export_->Append(std::move(line));
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
    // It may have left the ring in between; the file still learns of it.
    if (slot != slots_.end()) {
      SharedDecision& kept = ring_[slot->second].decision;
      if (first != nullptr && !kept->has_reported_quality()) *first = reported;
      kept = reported;
    }
  }
  Publish(reported, reported);
  return absl::OkStatus();
}

std::shared_ptr<DecisionWatch> DecisionLog::Watch(absl::string_view pool,
                                                  absl::AnyInvocable<void()> ready) {
  auto watch = std::make_shared<DecisionWatch>(std::string(pool), std::move(ready));
  MutexLock lock(watch_mutex_);
  watches_.push_back(watch);
  return watch;
}

uint64_t DecisionLog::export_dropped() const { return export_ == nullptr ? 0 : export_->dropped(); }

}  // namespace penstock::router
