#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"
#include "expert_service/models/arena.h"
#include "expert_service/models/block_chain.h"
#include "expert_service/models/contract.h"
#include "penstock/config/v1/model.pb.h"

namespace penstock::expert {

// A request that passed the model's checks.
struct ModelInputs {
  std::vector<Tensor> tensors;  // in the contract's order
  int64_t rows = 1;
  int64_t positions = kNoPositions;  // of the first input: requests that differ do not share a call
};

// One request's part of an execution.
struct ModelCall {
  const ModelInputs* inputs = nullptr;
  absl::Span<const size_t> wanted;         // indexes of the contract's outputs
  std::vector<Tensor>* outputs = nullptr;  // filled in the order of `wanted`
};

// What an execution came to.
struct ModelRun {
  const Clock* clock = nullptr;     // as in ChainCosts
  std::vector<BlockCost> blocks;    // likewise
  std::vector<double> flops;        // of each call
  double weight_bytes = 0;          // read once, however many calls
  std::map<size_t, int64_t> ended;  // block of an exit -> rows that ended there
};

// A contract and the blocks that keep it. Immutable: all workers share one.
class Model {
 public:
  // `weights` may be null when there is no file at `weights_path`. Errors name the field or the
  // tensor. `content_digest`: of all that the model is made from; empty: not known.
  static absl::StatusOr<std::shared_ptr<const Model>> Create(const config::v1::Model& config,
                                                             std::string name, int64_t version,
                                                             const Safetensors* weights,
                                                             const std::string& weights_path,
                                                             std::string content_digest = "");

  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }
  const std::string& content_digest() const { return content_digest_; }
  const Contract& contract() const { return contract_; }

  // Whatever could fail for reasons of the caller's is found here. INVALID_ARGUMENT names the
  // input.
  absl::StatusOr<ModelInputs> Accept(std::vector<Tensor> inputs) const;
  // Whether both may be rows of one execution.
  bool Compatible(const ModelInputs& a, const ModelInputs& b) const {
    return a.positions == b.positions;
  }

  // Runs the rows of compatible requests together. A row's outputs do not depend on its company.
  // `run` is told what ran, to the error where there is one; it may be null.
  absl::Status Run(absl::Span<const ModelCall> calls, Arena& arena, ModelRun* run = nullptr,
                   Exits exits = Exits::kTaken) const;

  // Of an execution in which all rows run through all blocks; `positions` as in ModelInputs.
  ModelWork Work(int64_t rows, int64_t positions) const;
  // The largest value between blocks.
  size_t ValueBytes(int64_t rows, int64_t positions) const;
  // Weights held in the host's memory.
  size_t resident_bytes() const;
  // Inputs of `rows` rows to warm up with: zeros, variable dimensions 1.
  ModelInputs ZeroInputs(int64_t rows) const;

 private:
  Model() = default;
  absl::Status Build(const config::v1::Model& config, const Safetensors* weights,
                     const std::string& weights_path);
  absl::Status CheckOutput(const config::v1::TensorSpec& spec, size_t index);
  absl::Status CheckIds(const Tensor& tensor) const;
  ValueShape InputShape(int64_t rows, int64_t positions) const;
  Value Gather(absl::Span<const ModelCall> calls, Arena& arena) const;
  void Emit(size_t block, const Value& value, absl::Span<const ModelCall> calls) const;

  std::string name_;
  int64_t version_ = 1;
  std::string content_digest_;
  Contract contract_;
  ValueShape input_;                  // rows 1; positions may be variable
  std::optional<BlockChain> chain_;   // none: identity
  std::vector<size_t> output_block_;  // of each output
};

}  // namespace penstock::expert
