#include "common/net/oip_core.h"

#include <prometheus/counter.h>

#include <vector>

#include "common/net/infer_stream.h"

namespace penstock {

void OipCore::Accepted() {
  accepted.fetch_add(1, std::memory_order_relaxed);
  if (accepted_total != nullptr) accepted_total->Increment();
}

void OipCore::Answered(uint64_t calls) {
  if (calls == 0) return;
  answered.fetch_add(calls, std::memory_order_relaxed);
  if (answered_total != nullptr) answered_total->Increment(static_cast<double>(calls));
}

void OipCore::Add(const std::shared_ptr<InferStream>& stream) {
  bool end = false;
  {
    MutexLock lock(mutex);
    streams.insert(stream);
    end = ending_streams;
  }
  if (end) stream->End();
}

void OipCore::Remove(const std::shared_ptr<InferStream>& stream) {
  MutexLock lock(mutex);
  streams.erase(stream);
}

void OipCore::EndStreams() {
  std::vector<std::shared_ptr<InferStream>> open;
  {
    MutexLock lock(mutex);
    ending_streams = true;
    for (const auto& stream : streams) {
      if (auto held = stream.lock()) open.push_back(std::move(held));
    }
  }
  for (const auto& stream : open) stream->End();
}

absl::Status DroppedCall() {
  return absl::InternalError("the call was dropped without an answer");
}

}  // namespace penstock
