#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/random.h"
#include "common/tensors/float_formats.h"
#include "common/tensors/safetensors.h"
#include "gtest/gtest.h"
#include "tests/expert_service/models/moe_reference.h"
#include "tests/support/temp_dir.h"

namespace penstock::expert {

// A small checkpoint of one of the layouts, random weights, and what its layers answer. Its files
// may be changed before they are written.
class HfCheckpoint {
 public:
  static constexpr int64_t kDim = 20, kWidth = 12, kShared = 9;
  static constexpr int64_t kExperts = 6, kTopK = 2, kLayers = 3;

  struct Stored {
    std::vector<int64_t> shape;
    std::string dtype;
    std::string raw;
    std::vector<double> values;
  };

  HfCheckpoint(const std::string& model_type, std::string dtype)
      : type_(model_type), dtype_(std::move(dtype)), mixtral_(model_type == "mixtral") {
    config = {{"architectures", {"ForCausalLM"}},
              {"model_type", model_type},
              {"hidden_size", kDim},
              {"num_hidden_layers", kLayers},
              {"num_experts_per_tok", kTopK},
              {"hidden_act", "silu"},
              {"rms_norm_eps", 1e-5},
              {"vocab_size", 32},
              {"rope_scaling", nullptr}};
    config[mixtral_ ? "num_local_experts" : "num_experts"] = kExperts;
    const bool qwen = absl::StartsWith(model_type, "qwen");
    config[qwen ? "moe_intermediate_size" : "intermediate_size"] = kWidth;
    if (qwen) config["intermediate_size"] = 5 * kWidth;  // of dense layers
    if (!mixtral_) config["norm_topk_prob"] = false;
    if (qwen) config["decoder_sparse_step"] = 1;
    if (qwen) config["mlp_only_layers"] = nlohmann::json::array();
    if (model_type == "qwen2_moe") config["shared_expert_intermediate_size"] = kShared;
    for (int64_t layer = 0; layer < kLayers; ++layer) AddLayer(layer);
    Add("model.embed_tokens.weight", {32, kDim});
  }

  // One file, or shards with an index.
  void Write(const TempDir& folder, int shards = 1) const {
    folder.Write("config.json", config.dump());
    std::vector<std::vector<SafetensorsView>> files(static_cast<size_t>(shards));
    nlohmann::json weight_map = nlohmann::json::object();
    size_t turn = 0;
    for (const auto& [name, tensor] : tensors) {
      const size_t file = turn++ % files.size();
      files[file].push_back({name, tensor.shape, tensor.dtype, {tensor.raw}});
      weight_map[name] = ShardName(static_cast<int>(file), shards);
    }
    for (int file = 0; file < shards; ++file) {
      const absl::Status written =
          WriteSafetensorsViews(folder.File(ShardName(file, shards)),
                                files[static_cast<size_t>(file)], {{"format", "pt"}}, nullptr);
      ASSERT_TRUE(written.ok()) << written;
    }
    if (shards == 1) return;
    folder.Write(
        "model.safetensors.index.json",
        nlohmann::json({{"metadata", {{"total_size", 1}}}, {"weight_map", weight_map}}).dump());
  }
  static std::string ShardName(int file, int shards) {
    return shards == 1 ? "model.safetensors"
                       : absl::StrFormat("model-%05d-of-%05d.safetensors", file + 1, shards);
  }

  void Add(const std::string& name, const std::vector<int64_t>& shape, std::string dtype = "") {
    Stored stored = {shape, dtype.empty() ? dtype_ : dtype, "", {}};
    int64_t count = 1;
    for (const int64_t dimension : shape) count *= dimension;
    CounterRandom random(7, tensors.size());
    for (int64_t i = 0; i < count; ++i) {
      // Signs, fractions and the exponents of 2^-6 to 2^-1: exact in every type.
      const auto sign = static_cast<uint32_t>(random.Below(2));
      const auto exponent = static_cast<uint32_t>(random.Below(6));
      if (stored.dtype == "BF16") {
        Put(stored, static_cast<uint16_t>(sign << 15 | (exponent + 121) << 7 | random.Below(128)));
        stored.values.push_back(Bfloat16ToFloat(Last<uint16_t>(stored)));
      } else if (stored.dtype == "F16") {
        Put(stored, static_cast<uint16_t>(sign << 15 | (exponent + 9) << 10 | random.Below(1024)));
        stored.values.push_back(HalfToFloat(Last<uint16_t>(stored)));
      } else if (stored.dtype == "F32") {
        Put(stored,
            static_cast<uint32_t>(sign << 31 | (exponent + 121) << 23 | random.Below(1 << 23)));
        stored.values.push_back(std::bit_cast<float>(Last<uint32_t>(stored)));
      } else {
        Put(stored, static_cast<uint8_t>(random.Below(256)));
      }
    }
    tensors[name] = stored;
  }

  std::string Block(int64_t layer) const {
    return absl::StrCat("model.layers.", layer, ".", mixtral_ ? "block_sparse_moe" : "mlp", ".");
  }
  std::string Name(int64_t layer, int64_t expert, const std::string& matrix) const {
    return absl::StrCat(Block(layer), "experts.", expert, ".", Matrix(matrix), ".weight");
  }

  // As the layer is defined: softmax of the router over all experts, the k largest, divided by
  // their sum where the configuration says so (Mixtral: always), and the shared expert times a
  // sigmoid.
  ReferenceMoe Reference(int64_t layer) const {
    ReferenceMoe moe;
    moe.top_k = kTopK;
    moe.renormalize = mixtral_ || config.at("norm_topk_prob").get<bool>();
    moe.router = Values(Block(layer) + "gate.weight");
    for (int64_t e = 0; e < kExperts; ++e) {
      moe.experts.push_back({Values(Name(layer, e, "gate")), Values(Name(layer, e, "up")),
                             Values(Name(layer, e, "down"))});
    }
    if (type_ == "qwen2_moe") {
      const std::string shared = Block(layer) + "shared_expert";
      moe.shared = {Values(shared + ".gate_proj.weight"), Values(shared + ".up_proj.weight"),
                    Values(shared + ".down_proj.weight")};
      moe.shared_weight = Values(shared + "_gate.weight");
    }
    return moe;
  }
  std::vector<double> Values(const std::string& name) const {
    const auto found = tensors.find(name);
    EXPECT_TRUE(found != tensors.end()) << name;
    return found == tensors.end() ? std::vector<double>() : found->second.values;
  }

  nlohmann::json config;
  std::map<std::string, Stored> tensors;

 private:
  template <typename T>
  static void Put(Stored& stored, T bits) {
    stored.raw.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
  }
  template <typename T>
  static T Last(const Stored& stored) {
    T bits;
    std::memcpy(&bits, stored.raw.data() + stored.raw.size() - sizeof(T), sizeof(T));
    return bits;
  }
  std::string Matrix(const std::string& role) const {
    if (!mixtral_) return role + "_proj";
    return role == "gate" ? "w1" : role == "up" ? "w3" : "w2";
  }
  void AddLayer(int64_t layer) {
    Add(absl::StrCat("model.layers.", layer, ".post_attention_layernorm.weight"), {kDim});
    Add(absl::StrCat("model.layers.", layer, ".self_attn.q_proj.weight"), {kDim, kDim});
    Add(Block(layer) + "gate.weight", {kExperts, kDim});
    for (int64_t e = 0; e < kExperts; ++e) {
      Add(Name(layer, e, "gate"), {kWidth, kDim});
      Add(Name(layer, e, "up"), {kWidth, kDim});
      Add(Name(layer, e, "down"), {kDim, kWidth});
    }
    if (type_ != "qwen2_moe") return;
    Add(Block(layer) + "shared_expert.gate_proj.weight", {kShared, kDim});
    Add(Block(layer) + "shared_expert.up_proj.weight", {kShared, kDim});
    Add(Block(layer) + "shared_expert.down_proj.weight", {kDim, kShared});
    Add(Block(layer) + "shared_expert_gate.weight", {1, kDim});
  }

  const std::string type_;
  const std::string dtype_;
  const bool mixtral_;
};

}  // namespace penstock::expert
