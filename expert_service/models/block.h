#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "expert_service/models/value.h"
#include "kernels/device/workspace.h"

namespace penstock::expert {

// What a block reads: the value before it.
struct BlockInput : Value {
  Value memory;  // that of its memory_block(), too: as many rows and positions
};

// One step of a model: immutable, shared by all workers. What a row becomes depends on that row
// alone, bit for bit, whatever other rows share the call.
class Block {
 public:
  virtual ~Block() = default;

  // The value that comes out of a value that the block was created for.
  virtual ValueShape Output(const ValueShape& in) const = 0;
  virtual size_t WorkspaceBytes(const ValueShape& in) const { return 0; }
  // What each thread that helps adds to it.
  virtual size_t HelperWorkspaceBytes(const ValueShape& in) const { return 0; }
  // y.shape is Output(x.shape); x and y do not overlap.
  virtual absl::Status Run(const BlockInput& x, const Value& y,
                           kernels::Workspace scratch) const = 0;

  // At most, where values decide.
  virtual double Flops(const ValueShape& in) const { return 0; }
  // Weights that an execution over `in` has to read; at most, likewise.
  virtual double WeightBytes(const ValueShape& in) const {
    return static_cast<double>(resident_bytes());
  }
  // What the latest Run came to, `scratch` as it left it: sets each row's flops, gives the bytes of
  // weights.
  virtual double Charge(const ValueShape& in, kernels::Workspace scratch,
                        absl::Span<double> row_flops) const {
    for (double& flops : row_flops) flops = Flops(in) / static_cast<double>(in.rows);
    return WeightBytes(in);
  }
  // Weights held in the host's memory, whatever a device holds besides.
  virtual size_t resident_bytes() const { return 0; }

  // Rows that leave for each row that enters: above 1, what follows is averaged back over them.
  virtual int64_t views() const { return 1; }
  // The earlier block whose value Run reads, too; unset: none.
  virtual std::optional<size_t> memory_block() const { return std::nullopt; }
  // Whether rows may end here: those with y for their answer, while the others go on with x.
  virtual bool has_exit() const { return false; }
  // Of such a block after Run, `scratch` as it left it: 1 for each row that ends here, else 0.
  virtual absl::Status Leaves(const Value& y, kernels::Workspace scratch, uint8_t* leaves) const {
    return absl::OkStatus();
  }
  // Ids must lie in [0, vocabulary); 0: the block takes no ids.
  virtual int64_t vocabulary() const { return 0; }
  // The names behind labels.
  virtual const std::vector<std::string>* names() const { return nullptr; }
};

}  // namespace penstock::expert
