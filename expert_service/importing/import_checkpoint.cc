#include "expert_service/importing/import_checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "expert_service/importing/checkpoint.h"
#include "expert_service/importing/hf_config.h"
#include "expert_service/importing/model_files.h"
#include "expert_service/importing/moe_layer.h"

namespace penstock::expert {
namespace {

using Entry = Safetensors::Entry;

constexpr int64_t kMaxRows = 1 << 20;  // of a model's batching

struct GateFile {
  std::string name;
  SafetensorsView router;
  std::string experts;  // metadata: a JSON array of names
};

struct Plan {
  ImportedLayer layer;
  std::vector<ModelFiles> models;
  std::vector<GateFile> gates;
};

SafetensorsView View(std::string name, const Entry& entry) {
  return {std::move(name), entry.shape, entry.dtype, {entry.data}};
}

// One of the matrices of all experts, as [experts, ...].
SafetensorsView Stacked(std::string name, const MoeLayer& layer,
                        const Entry* ExpertTensors::*matrix) {
  const Entry& first = *(layer.experts[0].*matrix);
  SafetensorsView view = {std::move(name), first.shape, first.dtype, {}};
  view.shape.insert(view.shape.begin(), static_cast<int64_t>(layer.experts.size()));
  for (const ExpertTensors& expert : layer.experts) {
    view.pieces.push_back((expert.*matrix)->data);
  }
  return view;
}

class Planner {
 public:
  Planner(const ImportOptions& options, const HfMoe& moe)
      : options_(options),
        moe_(moe),
        prefix_(options.name.empty() ? moe.family : options.name),
        activation_(config::v1::Activation_Name(moe.activation)) {}

  Plan Of(const MoeLayer& layer) const {
    Plan plan;
    plan.layer.layer = layer.layer;
    plan.layer.dtype = layer.experts[0].gate->dtype;
    const std::string name = absl::StrCat(prefix_, "-layer", layer.layer);
    if (options_.as == ImportAs::kMoe) {
      plan.models.push_back(Whole(layer, name));
      plan.layer.models = {name};
    } else {
      AddExperts(layer, name, plan);
    }
    for (const ModelFiles& model : plan.models) plan.layer.bytes += model.bytes();
    return plan;
  }

 private:
  std::string Config(const std::string& name, const std::string& what,
                     const std::vector<std::string>& blocks) const {
    return absl::StrCat("# ", what, ", of a ", moe_.family, " checkpoint. A row is a token.\n",
                        "name: ", name, "\n",
                        "inputs:\n  - {name: hidden, datatype: FP32, shape: [", moe_.hidden, "]}\n",
                        "outputs:\n  - {name: output, datatype: FP32, shape: [", moe_.hidden,
                        "]}\n", "blocks:\n  - ", absl::StrJoin(blocks, "\n  - "), "\n",
                        "batching:\n  max_rows: ", options_.max_rows, "\n");
  }

  ModelFiles Whole(const MoeLayer& layer, const std::string& name) const {
    ModelFiles model;
    model.name = name;
    std::vector<std::string> blocks;
    if (layer.norm != nullptr) {
      blocks.push_back(absl::StrFormat("rms_norm: {eps: %.9g}", moe_.eps));
      model.tensors.push_back(View("0.weight", *layer.norm));
    }
    const auto own = [block = blocks.size()](absl::string_view tensor) {
      return absl::StrCat(block, ".", tensor);
    };
    blocks.push_back(absl::StrCat("moe: {top_k: ", moe_.top_k,
                                  ", renormalize: ", moe_.renormalize ? "true" : "false",
                                  ", activation: ", activation_, "}"));
    model.tensors.push_back(View(own("router"), *layer.router));
    model.tensors.push_back(Stacked(own("gate"), layer, &ExpertTensors::gate));
    model.tensors.push_back(Stacked(own("up"), layer, &ExpertTensors::up));
    model.tensors.push_back(Stacked(own("down"), layer, &ExpertTensors::down));
    if (layer.shared) {
      model.tensors.push_back(View(own("shared_gate"), *layer.shared->gate));
      model.tensors.push_back(View(own("shared_up"), *layer.shared->up));
      model.tensors.push_back(View(own("shared_down"), *layer.shared->down));
      model.tensors.push_back(View(own("shared_weight"), *layer.shared_weight));
    }
    model.config =
        Config(name, absl::StrCat("The mixture of experts of layer ", layer.layer), blocks);
    return model;
  }

  void AddExperts(const MoeLayer& layer, const std::string& name, Plan& plan) const {
    for (size_t e = 0; e < layer.experts.size(); ++e) {
      const ExpertTensors& expert = layer.experts[e];
      ModelFiles model;
      model.name = absl::StrCat(name, "-expert", e);
      model.tensors = {View("0.gate", *expert.gate), View("0.up", *expert.up),
                       View("0.down", *expert.down)};
      model.config = Config(model.name, absl::StrCat("Expert ", e, " of layer ", layer.layer),
                            {absl::StrCat("gated_mlp: {activation: ", activation_, "}")});
      plan.layer.models.push_back(model.name);
      plan.models.push_back(std::move(model));
    }
    plan.layer.gate_file = absl::StrCat(name, ".gate.safetensors");
    plan.gates.push_back({plan.layer.gate_file, View("weight", *layer.router),
                          absl::StrCat("[\"", absl::StrJoin(plan.layer.models, "\",\""), "\"]")});
    if (layer.shared) {
      plan.models.push_back(Shared(layer, absl::StrCat(name, "-shared")));
      plan.layer.shared_model = plan.models.back().name;
    }
  }

  // The expert that every row takes, times the sigmoid of a linear score: a mixture of one expert
  // whose router is that score.
  ModelFiles Shared(const MoeLayer& layer, const std::string& name) const {
    ModelFiles model;
    model.name = name;
    const auto one = [&](std::string tensor, const Entry* ExpertTensors::*matrix) {
      SafetensorsView view = View(std::move(tensor), *((*layer.shared).*matrix));
      view.shape.insert(view.shape.begin(), 1);
      return view;
    };
    model.tensors = {View("0.router", *layer.shared_weight), one("0.gate", &ExpertTensors::gate),
                     one("0.up", &ExpertTensors::up), one("0.down", &ExpertTensors::down)};
    model.config = Config(
        name, absl::StrCat("The expert of layer ", layer.layer, " that every token takes"),
        {absl::StrCat(
            "moe: {top_k: 1, renormalize: false, score: SIGMOID, activation: ", activation_, "}")});
    return model;
  }

  const ImportOptions& options_;
  const HfMoe& moe_;
  const std::string prefix_;
  const std::string activation_;
};

absl::Status CheckOptions(const ImportOptions& options) {
  if (!options.name.empty() && !IsModelName(options.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: wanted letters, digits, '-', '_' and '.', not first a '.', found \"",
                     options.name, "\""));
  }
  if (options.repository.empty()) return absl::InvalidArgumentError("the repository is empty");
  if (options.max_rows < 1 || options.max_rows > kMaxRows) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_rows: wanted 1 to ", kMaxRows, ", found ", options.max_rows));
  }
  if (options.norm && options.as == ImportAs::kExperts) {
    return absl::InvalidArgumentError(
        "norm: only of whole layers: the gate of a pool reads rows as they come, and the router "
        "reads them after the norm");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::set<int64_t>> LayersOf(const ImportOptions& options, const HfMoe& moe) {
  std::set<int64_t> layers(options.layers.begin(), options.layers.end());
  for (const int64_t layer : layers) {
    if (layer < 0 || layer >= moe.layers) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer: wanted 0 to ", moe.layers - 1, ", found ", layer));
    }
    if (!moe.HasExperts(layer)) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer: ", layer, " has no experts, says config.json (decoder_sparse_step ",
                       moe.sparse_step, ", mlp_only_layers)"));
    }
  }
  if (!layers.empty()) return layers;
  for (int64_t layer = 0; layer < moe.layers; ++layer) {
    if (moe.HasExperts(layer)) layers.insert(layer);
  }
  if (layers.empty()) return absl::InvalidArgumentError("config.json: no layer has experts");
  return layers;
}

absl::Status CheckPlaces(const ImportOptions& options, const std::vector<Plan>& plans) {
  for (const Plan& plan : plans) {
    for (const ModelFiles& model : plan.models) {
      PENSTOCK_RETURN_IF_ERROR(CheckPlace(options.repository, model.name, options.overwrite));
    }
    for (const GateFile& gate : plan.gates) {
      const std::string path = absl::StrCat(options.repository, "/", gate.name);
      std::error_code ignored;
      const auto status = std::filesystem::symlink_status(path, ignored);
      if (std::filesystem::exists(status) && !options.overwrite) {
        return absl::AlreadyExistsError(absl::StrCat(path, " is there already"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImportReport> ImportCheckpoint(const ImportOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(CheckOptions(options));
  PENSTOCK_ASSIGN_OR_RETURN(const HfMoe moe, ReadHfConfig(options.checkpoint));
  PENSTOCK_ASSIGN_OR_RETURN(const std::set<int64_t> layers, LayersOf(options, moe));
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<Checkpoint> checkpoint,
                            Checkpoint::Open(options.checkpoint));
  const Planner planner(options, moe);
  std::vector<Plan> plans;
  uint64_t total = 0, done = 0;
  for (const int64_t layer : layers) {
    PENSTOCK_ASSIGN_OR_RETURN(const MoeLayer found,
                              FindMoeLayer(moe, *checkpoint, layer, options.norm));
    plans.push_back(planner.Of(found));
    total += plans.back().layer.bytes;
  }
  PENSTOCK_RETURN_IF_ERROR(CheckPlaces(options, plans));

  const auto progress = [&](uint64_t bytes) {
    done += bytes;
    if (options.progress) options.progress(static_cast<double>(done) / static_cast<double>(total));
  };
  ImportReport report = {moe.family,       moe.experts,     moe.top_k, moe.hidden, moe.width,
                         moe.shared_width, moe.renormalize, 0,         {}};
  for (int64_t layer = 0; layer < moe.layers; ++layer) {
    report.dense_layers += moe.HasExperts(layer) ? 0 : 1;
  }
  for (Plan& plan : plans) {
    for (const ModelFiles& model : plan.models) {
      PENSTOCK_RETURN_IF_ERROR(WriteModel(options.repository, model, options.overwrite, progress));
    }
    for (const GateFile& gate : plan.gates) {
      PENSTOCK_RETURN_IF_ERROR(
          WriteSafetensorsViews(absl::StrCat(options.repository, "/", gate.name), {gate.router},
                                {{"experts", gate.experts}}, nullptr));
    }
    report.layers.push_back(std::move(plan.layer));
  }
  return report;
}

}  // namespace penstock::expert
