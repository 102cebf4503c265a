#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "expert_service/models/arena.h"
#include "expert_service/models/block.h"
#include "expert_service/models/block_tensors.h"
#include "expert_service/models/live_rows.h"
#include "penstock/config/v1/model.pb.h"

namespace penstock::expert {

// Arithmetic and weights of an execution.
struct ModelWork {
  double flops = 0;
  double weight_bytes = 0;  // read once, however many rows
};

// What one block took of an execution.
struct BlockCost {
  config::v1::Block::KindCase kind = config::v1::Block::KIND_NOT_SET;
  absl::Duration time;  // on the wall
  // What must cross the memory bus, each operand once: the weights that were read, in the format in
  // which they are held, the values that it reads, and the one that it writes.
  double bytes = 0;
};

// What an execution came to: where rows may end early, they decide it.
struct ChainCosts {
  const Clock* clock = nullptr;  // of who calls; without one no `blocks` are told
  std::vector<BlockCost> blocks;  // that ran, in order
  std::vector<double> flops;      // of each row of the input
  double weight_bytes = 0;
  std::map<size_t, int64_t> ended;  // block of an exit -> rows, views counted singly
};

enum class Exits : uint8_t {
  kTaken,
  kIgnored,  // every row runs through all blocks
};

// The blocks of a model in order. A value stands until the last block that reads it has run. Rows
// that end at an exit take the logits there past all blocks up to the answer, the last block but
// for `softmax` and `labels`; these see all rows again, in their order. Immutable.
class BlockChain {
 public:
  // `input`: rows 1; positions may be variable. Errors name the block.
  static absl::StatusOr<BlockChain> Create(const config::v1::Model& config, ModelTensors& tensors,
                                           const ValueShape& input);

  size_t size() const { return blocks_.size(); }
  const Block& block(size_t i) const { return *blocks_[i]; }
  // Of each block, of one row of the input.
  const std::vector<ValueShape>& values() const { return values_; }
  // Whether rows may end before they reach the block's value.
  bool MayLack(size_t block) const { return first_exit_ < block && block < answer_; }

  // Blocks behind the last wanted one are not run. `emit` gets each wanted value, views averaged.
  // `costs` may be null.
  absl::Status Run(const Value& input, const std::vector<bool>& wanted, Exits exits, Arena& arena,
                   const std::function<void(size_t block, const Value& value)>& emit,
                   ChainCosts* costs) const;

  // Of an execution whose rows all run through all blocks.
  ModelWork Work(const ValueShape& input) const;
  // The largest value.
  size_t ValueBytes(const ValueShape& input) const;
  size_t resident_bytes() const;

 private:
  absl::Status CheckExits(const config::v1::Model& config);
  void AssignSlots();
  Value Average(const Value& value, int64_t views, Arena& arena) const;
  template <typename Visit>
  void Walk(ValueShape shape, Visit visit) const;

  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<config::v1::Block::KindCase> kinds_;
  std::vector<ValueShape> values_;
  size_t first_exit_ = 0;  // answer_ where there is none
  size_t answer_ = 0;
  // Of the input and each block's value: the last block that reads it, and where it stands.
  std::vector<size_t> last_read_;
  std::vector<size_t> slots_;
};

}  // namespace penstock::expert
