#include "router_service/recording/decision_export.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace penstock::router {

namespace {

constexpr size_t kEventsPerDecision = 8;

}  // namespace

bool IsEventLine(absl::string_view line) {
  // The first field that is set, in the schema's order; every event has a sequence.
  return absl::StartsWith(line, "{\"router\":") || absl::StartsWith(line, "{\"sequence\":");
}

absl::StatusOr<std::unique_ptr<DecisionExport>> DecisionExport::Open(const std::string& path,
                                                                     size_t queue,
                                                                     uint32_t router) {
  std::FILE* file = std::fopen(path.c_str(), "a");
  if (file == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("decision_log.export_file ", path, ": ", std::strerror(errno)));
  }
  return std::unique_ptr<DecisionExport>(new DecisionExport(file, queue, router));
}

DecisionExport::DecisionExport(std::FILE* file, size_t queue, uint32_t router)
    : file_(file), capacity_(queue), router_(router), thread_([this] { Run(); }) {}

DecisionExport::~DecisionExport() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
  MutexLock lock(mutex_);
  if (last_event_ > 0) {
    auto end = std::make_shared<v1::PacerEvent>();
    end->set_router(router_);
    end->set_sequence(last_event_ + 1);
    end->mutable_end()->set_lost(dropped_);
    Write({end});
  }
  std::fclose(file_);
}

void DecisionExport::Append(std::shared_ptr<const v1::Decision> decision) {
  MutexLock lock(mutex_);
  if (queue_.size() - queued_events_ >= capacity_) {
    ++dropped_;
    return;
  }
  queue_.push_back(std::move(decision));
  wake_.NotifyOne();
}

void DecisionExport::Record(std::shared_ptr<v1::PacerEvent> event) {
  event->set_router(router_);
  MutexLock lock(mutex_);
  last_event_ = event->sequence();
  if (queued_events_ >= capacity_ * kEventsPerDecision) {
    ++dropped_;
    return;
  }
  ++queued_events_;
  queue_.push_back(std::move(event));
  wake_.NotifyOne();
}

uint64_t DecisionExport::dropped() const {
  MutexLock lock(mutex_);
  return dropped_;
}

void DecisionExport::Run() {
  std::deque<Line> batch;
  for (;;) {
    batch.clear();
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) wake_.Wait(mutex_);
      if (queue_.empty()) return;
      batch.swap(queue_);
      queued_events_ = 0;
    }
    const uint64_t lost = Write(batch);
    if (lost == 0) continue;
    MutexLock lock(mutex_);
    dropped_ += lost;
  }
}

uint64_t DecisionExport::Write(const std::deque<Line>& batch) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  uint64_t lost = 0;
  for (const Line& line : batch) {
    // One by one: a decision with text that is no UTF-8 must not take its neighbours along, and a
    // string is filled up to its capacity each time that JSON is appended to it.
    text.clear();
    const bool written = google::protobuf::util::MessageToJsonString(*line, &text, options).ok() &&
                         std::fwrite(text.data(), 1, text.size(), file_) == text.size() &&
                         std::fputc('\n', file_) != EOF;
    lost += written ? 0 : 1;
  }
  return std::fflush(file_) == 0 ? lost : batch.size();
}

}  // namespace penstock::router
