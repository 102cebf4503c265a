#include "router_service/recording/decision_export.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<DecisionExport>> DecisionExport::Open(const std::string& path,
                                                                     size_t queue) {
  std::FILE* file = std::fopen(path.c_str(), "a");
  if (file == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("decision_log.export_file ", path, ": ", std::strerror(errno)));
  }
  return std::unique_ptr<DecisionExport>(new DecisionExport(file, queue));
}

DecisionExport::DecisionExport(std::FILE* file, size_t queue)
    : file_(file), capacity_(queue), thread_([this] { Run(); }) {}

DecisionExport::~DecisionExport() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
  std::fclose(file_);
}

void DecisionExport::Append(std::shared_ptr<const v1::Decision> decision) {
  MutexLock lock(mutex_);
  if (queue_.size() >= capacity_) {
    ++dropped_;
    return;
  }
  queue_.push_back(std::move(decision));
  wake_.NotifyOne();
}

uint64_t DecisionExport::dropped() const {
  MutexLock lock(mutex_);
  return dropped_;
}

void DecisionExport::Run() {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::deque<std::shared_ptr<const v1::Decision>> batch;
  std::string lines;
  for (;;) {
    {
      MutexLock lock(mutex_);
      batch.clear();
      while (queue_.empty() && !stopping_) wake_.Wait(mutex_);
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    lines.clear();
    uint64_t lost = 0;
    for (const auto& decision : batch) {
      // One decision with text that is no UTF-8 must not take its neighbours along.
      const size_t before = lines.size();
      if (google::protobuf::util::MessageToJsonString(*decision, &lines, options).ok()) {
        lines.push_back('\n');
      } else {
        lines.resize(before);
        ++lost;
      }
    }
    const bool written = std::fwrite(lines.data(), 1, lines.size(), file_) == lines.size() &&
                         std::fflush(file_) == 0;
    if (!written) lost = batch.size();
    if (lost > 0) {
      MutexLock lock(mutex_);
      dropped_ += lost;
    }
  }
}

}  // namespace penstock::router
