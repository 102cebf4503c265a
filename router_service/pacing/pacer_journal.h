#pragma once

#include <memory>

#include "penstock/v1/replay.pb.h"

namespace penstock::router {

// Where a pacer writes down what it does, in the order in which it does it. Thread-safe.
class PacerJournal {
 public:
  virtual ~PacerJournal() = default;
  // Called one at a time, sequences ascending by 1. Must not block, nor call the pacer.
  virtual void Record(std::shared_ptr<v1::PacerEvent> event) = 0;
};

}  // namespace penstock::router
