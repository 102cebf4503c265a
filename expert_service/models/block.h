#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "expert_service/models/value.h"
#include "kernels/device/workspace.h"

namespace penstock::expert {

// One step of a model: immutable, shared by all workers. What a row becomes depends on that row
// alone, bit for bit, whatever other rows share the call.
class Block {
 public:
  virtual ~Block() = default;

  // The value that comes out of a value that the block was created for.
  virtual ValueShape Output(const ValueShape& in) const = 0;
  virtual size_t WorkspaceBytes(const ValueShape& in) const { return 0; }
  // y.shape is Output(x.shape); x and y do not overlap.
  virtual absl::Status Run(const Value& x, const Value& y, kernels::Workspace scratch) const = 0;

  virtual double Flops(const ValueShape& in) const { return 0; }
  // Weights that an execution over `in` has to read.
  virtual double WeightBytes(const ValueShape& in) const {
    return static_cast<double>(resident_bytes());
  }
  // Weights held in memory.
  virtual size_t resident_bytes() const { return 0; }

  // Rows that leave for each row that enters: above 1, what follows is averaged back over them.
  virtual int64_t views() const { return 1; }
  // Ids must lie in [0, vocabulary); 0: the block takes no ids.
  virtual int64_t vocabulary() const { return 0; }
  // The names behind labels.
  virtual const std::vector<std::string>* names() const { return nullptr; }
};

}  // namespace penstock::expert
