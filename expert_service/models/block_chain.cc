#include "expert_service/models/block_chain.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/block_factory.h"

namespace penstock::expert {
namespace {

// "gated_mlp", as the configuration spells it.
std::string KindName(const config::v1::Block& block) {
  const auto* oneof = block.GetDescriptor()->FindOneofByName("kind");
  const auto* field = block.GetReflection()->GetOneofFieldDescriptor(block, oneof);
  return field == nullptr ? std::string() : field->name();
}

absl::Status At(const config::v1::Model& config, size_t block, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("blocks[", block, "] ",
                                                  KindName(config.blocks(static_cast<int>(block))),
                                                  ": ", status.message()));
}

// Adds what a block's run came to; the bytes of weights that it read.
double Charge(const Block& block, const ValueShape& in, kernels::Workspace scratch, int64_t views,
              const LiveRows& live, std::vector<double>& row_flops, ChainCosts& costs) {
  row_flops.resize(static_cast<size_t>(in.rows));
  const double weight_bytes = block.Charge(in, scratch, absl::MakeSpan(row_flops));
  costs.weight_bytes += weight_bytes;
  for (int64_t j = 0; j < in.rows; ++j) {
    costs.flops[static_cast<size_t>(live.row(j) / views)] += row_flops[static_cast<size_t>(j)];
  }
  return weight_bytes;
}

}  // namespace

absl::StatusOr<BlockChain> BlockChain::Create(const config::v1::Model& config,
                                              ModelTensors& tensors, const ValueShape& input) {
  BlockChain chain;
  ValueShape shape = input;
  bool views = false, exits = false;
  for (int i = 0; i < config.blocks_size(); ++i) {
    const size_t index = static_cast<size_t>(i);
    BlockTensors of_block(tensors, i);
    absl::StatusOr<std::unique_ptr<Block>> made =
        MakeBlock(config.blocks(i), of_block, shape, chain.values_);
    if (!made.ok()) return At(config, index, made.status());
    const Block& block = **made;
    if (block.views() > 1 && views) {
      return At(config, index, absl::InvalidArgumentError("may stand in a model once"));
    }
    if (block.views() > 1 && exits) {
      return At(config, index, absl::InvalidArgumentError("may not stand behind exit_head"));
    }
    views = views || block.views() > 1;
    exits = exits || block.has_exit();
    chain.values_.push_back(block.Output(shape));
    if (!block.has_exit()) shape = chain.values_.back();
    chain.blocks_.push_back(*std::move(made));
    chain.kinds_.push_back(config.blocks(i).kind_case());
  }
  PENSTOCK_RETURN_IF_ERROR(chain.CheckExits(config));
  chain.AssignSlots();
  return chain;
}

absl::Status BlockChain::CheckExits(const config::v1::Model& config) {
  answer_ = blocks_.size() - 1;
  for (; answer_ > 0; --answer_) {
    const config::v1::Block& block = config.blocks(static_cast<int>(answer_));
    if (!block.has_softmax() && !block.has_labels()) break;
  }
  first_exit_ = answer_;
  for (size_t i = blocks_.size(); i-- > 0;) {
    if (!blocks_[i]->has_exit()) continue;
    if (i >= answer_) {
      return At(config, i,
                absl::InvalidArgumentError("only softmax and labels follow, so that rows that do "
                                           "not leave would have no other answer"));
    }
    const ValueShape& value = values_[answer_];
    if (value.element != Element::kFloat || value.has_positions() || value.dim != values_[i].dim) {
      return At(config, i,
                absl::InvalidArgumentError(absl::StrCat(
                    "tensor ", i, ".weight: wanted as many logits as the answer has, ",
                    DescribeValue(value), " of blocks[", answer_, "], found ", values_[i].dim)));
    }
    first_exit_ = i;
  }
  return absl::OkStatus();
}

void BlockChain::AssignSlots() {
  const size_t values = blocks_.size() + 1;
  last_read_.assign(values, 0);
  size_t current = 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    last_read_[current] = i;
    last_read_[i + 1] = i;  // until a reader is found
    if (const auto memory = blocks_[i]->memory_block()) last_read_[*memory + 1] = i;
    if (!blocks_[i]->has_exit()) current = i + 1;
  }
  slots_.assign(values, 0);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    std::vector<bool> taken(values + 1, false);
    for (size_t v = 0; v <= i; ++v) {
      if (last_read_[v] >= i) taken[slots_[v]] = true;
    }
    slots_[i + 1] =
        static_cast<size_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
  }
}

Value BlockChain::Average(const Value& value, int64_t views, Arena& arena) const {
  Value mean;
  mean.shape = value.shape;
  mean.shape.rows /= views;
  mean.data = arena.Take(Arena::kAverage, mean.shape.bytes());
  if (mean.shape.rows == 0) return mean;
  const int64_t size = mean.shape.elements() / mean.shape.rows;
  const float* from = value.floats();
  float* to = mean.floats();
  for (int64_t row = 0; row < mean.shape.rows; ++row, to += size) {
    std::copy_n(from, size, to);
    from += size;
    for (int64_t v = 1; v < views; ++v, from += size) {
      for (int64_t i = 0; i < size; ++i) to[i] += from[i];
    }
    for (int64_t i = 0; i < size; ++i) to[i] /= static_cast<float>(views);
  }
  return mean;
}

absl::Status BlockChain::Run(const Value& input, const std::vector<bool>& wanted, Exits exits,
                             Arena& arena, const std::function<void(size_t, const Value&)>& emit,
                             ChainCosts* costs) const {
  size_t last = 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (wanted[i]) last = i;
  }
  const Clock* const clock = costs == nullptr ? nullptr : costs->clock;
  if (costs != nullptr) {
    *costs = {clock, {}, std::vector<double>(static_cast<size_t>(input.shape.rows)), 0, {}};
  }
  const auto now = [clock] { return clock == nullptr ? absl::Time() : clock->Now(); };
  std::vector<double> row_flops;
  std::vector<Value> values(blocks_.size() + 1);
  values[0] = input;
  size_t current = 0;  // of the value that the next block reads
  int64_t views = 1;
  LiveRows live(arena);
  for (size_t i = 0; i <= last; ++i) {
    const Block& block = *blocks_[i];
    Value& x = values[current];
    Value& y = values[i + 1];
    if (block.names() != nullptr && views > 1) {
      x = Average(x, views, arena);
      views = 1;
    }
    y.shape = block.Output(x.shape);
    y.data = arena.Take(Arena::kValues + slots_[i + 1], y.shape.bytes());
    const kernels::Workspace scratch =
        arena.Scratch(block.WorkspaceBytes(x.shape) + static_cast<size_t>(arena.threads() - 1) *
                                                          block.HelperWorkspaceBytes(x.shape));
    if (x.shape.rows > 0) {
      BlockInput in{x, {}};
      if (const auto memory = block.memory_block()) in.memory = values[*memory + 1];
      const absl::Time start = now();
      PENSTOCK_RETURN_IF_ERROR(block.Run(in, y, scratch));
      const absl::Time end = now();
      if (costs != nullptr) {
        const double weight_bytes =
            Charge(block, x.shape, scratch, views, live, row_flops, *costs);
        if (clock != nullptr) {
          const size_t moved = x.shape.bytes() + y.shape.bytes() +
                               (block.memory_block() ? in.memory.shape.bytes() : 0);
          costs->blocks.push_back(
              {kinds_[i], end - start, weight_bytes + static_cast<double>(moved)});
        }
      }
    }
    views *= block.views();
    if (i == answer_ && live.some_ended()) {
      PENSTOCK_ASSIGN_OR_RETURN(y, live.Join(y));
    }
    if (wanted[i]) emit(i, views > 1 ? Average(y, views, arena) : y);
    if (!block.has_exit()) {
      current = i + 1;
      continue;
    }
    if (exits == Exits::kIgnored || i == last || x.shape.rows == 0) continue;
    uint8_t* leaves =
        static_cast<uint8_t*>(arena.Take(Arena::kLeaves, static_cast<size_t>(x.shape.rows)));
    PENSTOCK_RETURN_IF_ERROR(block.Leaves(y, scratch, leaves));
    std::vector<Value*> staying;
    for (size_t v = 0; v <= i + 1; ++v) {
      if (last_read_[v] > i) staying.push_back(&values[v]);
    }
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t ended, live.End(y, leaves, staying));
    if (costs != nullptr) costs->ended[i] += ended;
  }
  return absl::OkStatus();
}

template <typename Visit>
void BlockChain::Walk(ValueShape shape, Visit visit) const {
  int64_t views = 1;
  for (const std::unique_ptr<Block>& block : blocks_) {
    if (block->names() != nullptr) shape.rows /= views;
    visit(*block, shape);
    if (!block->has_exit()) shape = block->Output(shape);
    views *= block->views();
  }
}

ModelWork BlockChain::Work(const ValueShape& input) const {
  ModelWork work;
  Walk(input, [&](const Block& block, const ValueShape& in) {
    work.flops += block.Flops(in);
    work.weight_bytes += block.WeightBytes(in);
  });
  return work;
}

size_t BlockChain::ValueBytes(const ValueShape& input) const {
  // Accepted shapes fit a message, so elements of the input do not overflow; outputs might, hence
  // doubles.
  double most = 0;
  Walk(input, [&](const Block& block, const ValueShape& in) {
    const ValueShape out = block.Output(in);
    for (const ValueShape& shape : {in, out}) {
      most = std::max(most, static_cast<double>(shape.rows) *
                                static_cast<double>(std::max<int64_t>(shape.positions, 1)) *
                                static_cast<double>(shape.dim) * 4);
    }
  });
  return most > 1e18 ? size_t{1'000'000'000'000'000'000} : static_cast<size_t>(most);
}

size_t BlockChain::resident_bytes() const {
  size_t bytes = 0;
  for (const std::unique_ptr<Block>& block : blocks_) bytes += block->resident_bytes();
  return bytes;
}

}  // namespace penstock::expert
