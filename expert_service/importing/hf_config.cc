#include "expert_service/importing/hf_config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "expert_service/importing/strict_json.h"
#include "kernels/route_topk/route_topk.h"

namespace penstock::expert {
namespace {

using nlohmann::json;

constexpr int64_t kMaxConfigBytes = 4'000'000;
// Above any model's: what is larger is a mistake, and products of two stay far below 2^63.
constexpr int64_t kMaxWidth = 1 << 22;
constexpr int64_t kMaxLayers = 1 << 14;

// What tells one family's checkpoints from another's.
struct Family {
  const char* model_type;
  const char* block;
  const char* gate;
  const char* up;
  const char* down;
  const char* experts;       // config's field
  const char* width;         // config's field
  const char* shared_width;  // config's field; null: no shared expert
  bool always_renormalizes;  // else norm_topk_prob says
  bool some_layers_dense;    // decoder_sparse_step and mlp_only_layers say which
};

constexpr Family kFamilies[] = {
    {"mixtral", "block_sparse_moe", "w1", "w3", "w2", "num_local_experts", "intermediate_size",
     nullptr, true, false},
    {"olmoe", "mlp", "gate_proj", "up_proj", "down_proj", "num_experts", "intermediate_size",
     nullptr, false, false},
    {"qwen2_moe", "mlp", "gate_proj", "up_proj", "down_proj", "num_experts",
     "moe_intermediate_size", "shared_expert_intermediate_size", false, true},
    {"qwen3_moe", "mlp", "gate_proj", "up_proj", "down_proj", "num_experts",
     "moe_intermediate_size", nullptr, false, true},
};

absl::Status Wanted(absl::string_view field, absl::string_view wanted, const json* found) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": wanted ", wanted, ", found ",
                                                 found == nullptr ? "none" : Said(*found)));
}

class Fields {
 public:
  explicit Fields(const json& config) : config_(config) {}

  const json* Find(const char* field) const {
    const auto found = config_.find(field);
    return found == config_.end() ? nullptr : &*found;
  }

  absl::Status Integer(const char* field, int64_t least, int64_t most, int64_t& value) const {
    const json* found = Find(field);
    // number_unsigned above 2^63 would wrap as int64_t.
    const bool fits = found != nullptr && found->is_number_unsigned() &&
                      found->get<uint64_t>() <= static_cast<uint64_t>(most) &&
                      static_cast<int64_t>(found->get<uint64_t>()) >= least;
    if (!fits) {
      return Wanted(field, absl::StrCat("an integer in [", least, ", ", most, "]"), found);
    }
    value = static_cast<int64_t>(found->get<uint64_t>());
    return absl::OkStatus();
  }

  absl::Status Bool(const char* field, bool& value) const {
    const json* found = Find(field);
    if (found == nullptr || !found->is_boolean()) return Wanted(field, "true or false", found);
    value = found->get<bool>();
    return absl::OkStatus();
  }

 private:
  const json& config_;
};

absl::StatusOr<const Family*> FamilyOf(const Fields& fields) {
  const json* type = fields.Find("model_type");
  for (const Family& family : kFamilies) {
    if (type != nullptr && type->is_string() && type->get<std::string>() == family.model_type) {
      return &family;
    }
  }
  return Wanted("model_type", absl::StrCat("one of ", absl::StrJoin(HfFamilies(), ", ")), type);
}

absl::StatusOr<config::v1::Activation> ActivationNamed(const Fields& fields) {
  const json* name = fields.Find("hidden_act");
  const std::string said = name != nullptr && name->is_string() ? name->get<std::string>() : "";
  if (said == "silu" || said == "swish") return config::v1::SWIGLU;
  if (said == "gelu") return config::v1::GEGLU_ERF;
  if (said == "gelu_new" || said == "gelu_pytorch_tanh") return config::v1::GEGLU_TANH;
  return Wanted("hidden_act", "silu, gelu, gelu_new or gelu_pytorch_tanh", name);
}

absl::Status ReadSparseLayers(const Fields& fields, HfMoe& moe) {
  // Older files lack both: every layer has experts then.
  if (fields.Find("decoder_sparse_step") != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(fields.Integer("decoder_sparse_step", 1, kMaxLayers, moe.sparse_step));
  }
  const json* dense = fields.Find("mlp_only_layers");
  if (dense == nullptr || dense->is_null()) return absl::OkStatus();
  if (!dense->is_array()) return Wanted("mlp_only_layers", "a list of layers", dense);
  for (const json& layer : *dense) {
    if (!layer.is_number_unsigned() || layer.get<uint64_t>() >= static_cast<uint64_t>(moe.layers)) {
      return Wanted("mlp_only_layers", absl::StrCat("layers in [0, ", moe.layers - 1, "]"), &layer);
    }
    moe.dense_only.insert(static_cast<int64_t>(layer.get<uint64_t>()));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> HfFamilies() {
  std::vector<std::string> names;
  std::transform(std::begin(kFamilies), std::end(kFamilies), std::back_inserter(names),
                 [](const Family& family) { return family.model_type; });
  return names;
}

absl::StatusOr<HfMoe> ParseHfConfig(const json& config) {
  const Fields fields(config);
  PENSTOCK_ASSIGN_OR_RETURN(const Family* family, FamilyOf(fields));
  if (const json* quantized = fields.Find("quantization_config");
      quantized != nullptr && !quantized->is_null()) {
    return Wanted("quantization_config",
                  "none: weights as BF16, F16 or F32, for `penstock quantize` to make smaller",
                  quantized);
  }
  HfMoe moe;
  moe.family = family->model_type;
  moe.block = family->block;
  moe.gate = family->gate;
  moe.up = family->up;
  moe.down = family->down;
  PENSTOCK_RETURN_IF_ERROR(fields.Integer("num_hidden_layers", 1, kMaxLayers, moe.layers));
  PENSTOCK_RETURN_IF_ERROR(fields.Integer("hidden_size", 1, kMaxWidth, moe.hidden));
  PENSTOCK_RETURN_IF_ERROR(fields.Integer(family->experts, 1, kernels::kMaxExperts, moe.experts));
  PENSTOCK_RETURN_IF_ERROR(fields.Integer("num_experts_per_tok", 1, moe.experts, moe.top_k));
  PENSTOCK_RETURN_IF_ERROR(fields.Integer(family->width, 1, kMaxWidth, moe.width));
  if (family->shared_width != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(fields.Integer(family->shared_width, 1, kMaxWidth, moe.shared_width));
  }
  if (!family->always_renormalizes) {
    PENSTOCK_RETURN_IF_ERROR(fields.Bool("norm_topk_prob", moe.renormalize));
  }
  PENSTOCK_ASSIGN_OR_RETURN(moe.activation, ActivationNamed(fields));
  const json* eps = fields.Find("rms_norm_eps");
  if (eps == nullptr || !eps->is_number() || !(eps->get<double>() > 0) || eps->get<double>() > 1) {
    return Wanted("rms_norm_eps", "a number in (0, 1]", eps);
  }
  moe.eps = eps->get<double>();
  if (family->some_layers_dense) PENSTOCK_RETURN_IF_ERROR(ReadSparseLayers(fields, moe));
  return moe;
}

absl::StatusOr<HfMoe> ReadHfConfig(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/config.json");
  PENSTOCK_ASSIGN_OR_RETURN(const json config, ReadStrictJson(path, kMaxConfigBytes));
  absl::StatusOr<HfMoe> moe = ParseHfConfig(config);
  if (moe.ok()) return moe;
  return absl::Status(moe.status().code(), absl::StrCat(path, ": ", moe.status().message()));
}

}  // namespace penstock::expert
