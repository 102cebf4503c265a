#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "penstock/v1/replay.pb.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/pacing/pacer_journal.h"

namespace penstock::router {

// Whether a line of the file is an event (v1.PacerEvent); else it is a decision.
bool IsEventLine(absl::string_view line);

// Appends decisions, and what moved their prices, to a file, one JSON object a line with the
// proto's field names, on a thread of its own behind a bounded queue. What does not fit the queue
// is dropped and counted; a gap in the events' sequence shows it to readers. Thread-safe.
class DecisionExport final : public PacerJournal {
 public:
  // Decisions, and eight times as many events.
  static constexpr size_t kQueue = 8192;

  // `router`: its instance, for the events.
  static absl::StatusOr<std::unique_ptr<DecisionExport>> Open(const std::string& path,
                                                              size_t queue = kQueue,
                                                              uint32_t router = 0);
  // Writes what is queued, and where there were events, their end.
  ~DecisionExport() override;

  void Append(std::shared_ptr<const v1::Decision> decision);
  void Record(std::shared_ptr<v1::PacerEvent> event) override;
  // Dropped at a full queue, or not written by the file system.
  uint64_t dropped() const;

 private:
  using Line = std::shared_ptr<const google::protobuf::Message>;

  DecisionExport(std::FILE* file, size_t queue, uint32_t router);
  void Run();
  // How many of them were lost.
  uint64_t Write(const std::deque<Line>& batch);

  std::FILE* const file_;
  const size_t capacity_;
  const uint32_t router_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<Line> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_events_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_event_ ABSL_GUARDED_BY(mutex_) = 0;  // its sequence; kept or dropped
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace penstock::router
