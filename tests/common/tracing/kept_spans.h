#pragma once

#include <utility>
#include <vector>

#include "common/tracing/span_batcher.h"

namespace penstock {

// A collector in the test's hands: keeps what it is sent, and answers at once with what it is told,
// or when it is told.
class KeptSpans final : public SpanExporter, public SpanObserver {
 public:
  void Export(SpanBatch batch, Done done) override {
    sizes_.push_back(batch.size());
    for (auto& span : batch) spans_.push_back(std::move(span));
    if (holding_) {
      held_.push_back(std::move(done));
    } else {
      done(answer_, rejected_);
    }
  }
  void Exported(uint64_t spans) override { exported_ += spans; }
  void Dropped(uint64_t spans) override { dropped_ += spans; }
  void Failed(uint64_t spans) override { failed_ += spans; }

  void AnswerWith(absl::Status status, uint64_t rejected = 0) {
    answer_ = std::move(status);
    rejected_ = rejected;
  }
  // From now on messages are not answered until Release.
  void Hold() { holding_ = true; }
  void Release() {
    holding_ = false;
    std::vector<Done> held;
    held.swap(held_);
    for (Done& done : held) done(answer_, rejected_);
  }

  const SpanBatch& spans() const { return spans_; }
  const std::vector<size_t>& sizes() const { return sizes_; }  // of messages
  uint64_t exported() const { return exported_; }
  uint64_t dropped() const { return dropped_; }
  uint64_t failed() const { return failed_; }

 private:
  SpanBatch spans_;
  std::vector<size_t> sizes_;
  std::vector<Done> held_;
  absl::Status answer_;
  uint64_t rejected_ = 0;
  bool holding_ = false;
  uint64_t exported_ = 0;
  uint64_t dropped_ = 0;
  uint64_t failed_ = 0;
};

}  // namespace penstock
