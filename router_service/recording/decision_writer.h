#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <variant>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "penstock/v1/decision_log.pb.h"
#include "penstock/v1/replay.pb.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/pacing/pacer_journal.h"
#include "router_service/recording/chain/log_writer.h"

namespace penstock::router {

// Whether a line of an exported log is an event (v1.PacerEvent); else it is a decision.
bool IsEventLine(absl::string_view line);

// Hands decisions, and what moved their prices, to a log, on a thread of its own behind a bounded
// queue: whoever appends neither turns them into text nor waits for a disk. What does not fit the
// queue is dropped, and a gap record stands in its place. Thread-safe.
class DecisionWriter final : public PacerJournal {
 public:
  struct Options {
    uint32_t router = 0;  // its instance, for the events
    // Decisions that wait, and eight times as many events. Of audits 1024 have places of their own.
    size_t most_decisions = 8192;
    size_t most_bytes = size_t{64} << 20;  // of all that waits, as protobuf would encode it
    absl::Duration sync_interval = absl::Milliseconds(10);
  };
  struct State {
    RecordCounts dropped{};  // at a full queue, by the disk, or without JSON
    uint64_t failures = 0;   // of writing or syncing
    uint64_t sequence = 0;   // of the last record that is on the disk
    uint64_t bytes = 0;      // of all segments
    uint64_t segments = 0;
    std::string last_error;
  };

  DecisionWriter(std::unique_ptr<LogWriter> log, Options options);
  // Writes what is queued, and where there were events, their end.
  ~DecisionWriter() override;

  // `features` and `choice` go into the decision's record beside what it holds; may be null.
  void Append(std::shared_ptr<const v1::Decision> decision,
              std::unique_ptr<v1::Features> features = nullptr,
              std::unique_ptr<v1::ChoiceRecord> choice = nullptr);
  void Append(std::unique_ptr<v1::AuditRecord> audit);
  void Record(std::shared_ptr<v1::PacerEvent> event) override;

  // As of the last sync, but for what the queue dropped.
  State state() const;
  uint64_t dropped() const;

 private:
  struct Decided {
    std::shared_ptr<const v1::Decision> decision;
    std::unique_ptr<v1::Features> features;
    std::unique_ptr<v1::ChoiceRecord> choice;
  };
  // RecordCounts: so many were dropped in this place.
  using Item = std::variant<Decided, std::shared_ptr<v1::PacerEvent>,
                            std::unique_ptr<v1::AuditRecord>, RecordCounts>;

  void Push(RecordKind kind, size_t bytes, Item item);
  bool Fits(RecordKind kind, size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HalfFull() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: it is to stop, and nothing is left.
  bool WaitForItems(std::deque<Item>& batch);
  void Run();
  void Write(const Item& item);
  void WriteMessage(RecordKind kind, const google::protobuf::Message& message);
  void Drop(RecordKind kind);
  void NoteState();

  const Options options_;
  std::unique_ptr<LogWriter> log_;  // of the thread while it runs
  std::string text_, part_;         // likewise
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  // Of what waits, what is being written included; of the latter.
  RecordCounts waiting_ ABSL_GUARDED_BY(mutex_){};
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  RecordCounts writing_ ABSL_GUARDED_BY(mutex_){};
  size_t writing_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  RecordCounts newly_dropped_ ABSL_GUARDED_BY(mutex_){};  // since the last item
  RecordCounts dropped_ ABSL_GUARDED_BY(mutex_){};        // all but by the log
  uint64_t last_event_ ABSL_GUARDED_BY(mutex_) = 0;       // its sequence; kept or dropped
  // What the thread waits for: anything; a full group; nothing, it works.
  enum class Waiting { kNothing, kItems, kGroup };
  Waiting waiting_for_ ABSL_GUARDED_BY(mutex_) = Waiting::kNothing;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  State state_ ABSL_GUARDED_BY(mutex_);  // of the log
  std::thread thread_;
};

}  // namespace penstock::router
