#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"
#include "penstock/v1/decision_log.pb.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/recording/decision_id.h"
#include "router_service/recording/decision_writer.h"

namespace penstock::router {

using SharedDecision = std::shared_ptr<const v1::Decision>;

// One watcher's bounded queue of decisions, in order. A watcher that does not keep up loses
// decisions, and learns how many. Thread-safe.
class DecisionWatch {
 public:
  static constexpr size_t kQueue = 256;

  // `ready` runs, on the thread that appends, whenever the queue stops being empty; it must not
  // block, and may call TryNext but not Close.
  DecisionWatch(std::string pool, absl::AnyInvocable<void()> ready);
  // Null: nothing waits.
  SharedDecision TryNext();
  // Lost so far.
  uint64_t dropped() const;
  // When it returns no `ready` runs, and none will.
  void Close();
  bool closed() const;

 private:
  friend class DecisionLog;
  // False once closed.
  bool Offer(const SharedDecision& decision);

  const std::string pool_;
  mutable Mutex mutex_;
  std::deque<SharedDecision> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Mutex ready_mutex_;
  absl::AnyInvocable<void()> ready_ ABSL_GUARDED_BY(ready_mutex_);
};

// The last decisions of this router, by id; watchers; and a folder of all of them, chained by
// hashes: docs/decision-log.md. Thread-safe. Append touches no file. It allocates the watchers'
// queues, and where there is a folder, places in its queue.
class DecisionLog {
 public:
  using HeadSynced = absl::AnyInvocable<void(const LogHead&)>;

  // INVALID_ARGUMENT names the field that is out of range.
  static absl::Status Validate(const config::v1::DecisionLog& config);
  // `instance`: this router's 8 hex digits. `head_synced`: as in LogWriterOptions. `clock` outlives
  // the log. INVALID_ARGUMENT as Validate, FAILED_PRECONDITION for a folder that cannot be written.
  static absl::StatusOr<std::unique_ptr<DecisionLog>> Create(const config::v1::DecisionLog& config,
                                                             uint32_t instance, const Clock& clock,
                                                             HeadSynced head_synced = nullptr);

  // The id of decision `sequence` of this router.
  DecisionId IdOf(uint64_t sequence) const { return {instance_, sequence}; }

  // The folder holds features too: decisions are appended with them.
  bool exports_features() const { return exports_features_; }
  // Where the pacer writes down what it does; null: there is no folder.
  PacerJournal* journal() const { return writer_.get(); }

  // decision->id() must be an id of this router; an id appended again replaces its decision.
  // Another router's goes to watchers and folder only. `features` and `choice`: go into the
  // folder's record alone.
  void Append(SharedDecision decision, std::unique_ptr<v1::Features> features = nullptr,
              std::unique_ptr<v1::ChoiceRecord> choice = nullptr);

  // A call that needs the admin right: who asked for what, and what came of it. Its time is set
  // here. Without a folder nothing keeps it.
  void AppendAudit(v1::AuditRecord audit);

  // NOT_FOUND: another router's, or no longer kept. INVALID_ARGUMENT: no id.
  absl::StatusOr<SharedDecision> Find(absl::string_view id) const;
  // The newest first, of `pool` (empty: all).
  std::vector<SharedDecision> Recent(size_t count, absl::string_view pool) const;

  // Attaches how good the answer was; in the folder as a further record of the same id, and shown
  // to watchers. PERMISSION_DENIED where `tenant` is set and is not the decision's;
  // INVALID_ARGUMENT outside [0, 1]. A decision that is not kept: NOT_FOUND, unless there is a
  // folder; then its record has id, tenant and quality, which `penstock train` joins. `first`:
  // becomes the decision with its quality where this is the first report of it.
  absl::Status Report(absl::string_view id, double quality, absl::string_view tenant = {},
                      SharedDecision* first = nullptr);

  // Every decision of `pool` (empty: all) from here on. Dropped or closed, it gets no more.
  std::shared_ptr<DecisionWatch> Watch(absl::string_view pool, absl::AnyInvocable<void()> ready);

  // Of the folder; nothing: there is none.
  std::optional<DecisionWriter::State> folder_state() const;

 private:
  struct Kept {
    uint64_t sequence = 0;
    SharedDecision decision;
  };

  DecisionLog(size_t capacity, uint32_t instance, bool exports_features, const Clock& clock,
              std::unique_ptr<DecisionWriter> writer);
  void Publish(const SharedDecision& decision);

  const size_t capacity_;
  const uint32_t instance_;
  const bool exports_features_;
  const Clock& clock_;
  const std::unique_ptr<DecisionWriter> writer_;  // null: no folder
  mutable Mutex mutex_;
  std::vector<Kept> ring_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;                              // the oldest, once full
  absl::flat_hash_map<uint64_t, size_t> slots_ ABSL_GUARDED_BY(mutex_);  // sequence -> ring index
  Mutex watch_mutex_;
  std::vector<std::weak_ptr<DecisionWatch>> watches_ ABSL_GUARDED_BY(watch_mutex_);
};

}  // namespace penstock::router
