#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/output/table.h"
#include "common/status_macros.h"
#include "expert_service/importing/import_checkpoint.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using expert::ImportAs;
using expert::ImportedLayer;
using expert::ImportReport;

struct ImportCommandOptions {
  expert::ImportOptions import;
  std::string as = "moe";
  bool json = false;
};

std::string Text(const ImportReport& report, const expert::ImportOptions& options) {
  const bool experts = options.as == ImportAs::kExperts;
  std::string text = absl::StrFormat(
      "%s: %d experts, %d a token%s, %d -> %d -> %d\n", report.family, report.experts, report.top_k,
      report.renormalize ? " (weights sum to 1)" : "", report.hidden, report.width, report.hidden);
  if (report.shared_width > 0) {
    absl::StrAppendFormat(&text, "and an expert of width %d that every token takes\n",
                          report.shared_width);
  }
  text += "\n";
  Table table({"model", "layer", "stored as", "bytes"});
  uint64_t bytes = 0;
  for (const ImportedLayer& layer : report.layers) {
    std::string models = layer.models.front();
    if (layer.models.size() > 1) absl::StrAppend(&models, " to ", layer.models.back());
    if (!layer.shared_model.empty()) absl::StrAppend(&models, ", ", layer.shared_model);
    table.AddRow({models, absl::StrCat(layer.layer), layer.dtype, absl::StrCat(layer.bytes)});
    bytes += layer.bytes;
  }
  text += table.ToString();
  absl::StrAppendFormat(&text, "\n%d layers, %d bytes, written to %s\n", report.layers.size(), bytes,
                        options.repository);
  if (report.dense_layers > 0) {
    absl::StrAppendFormat(&text, "%d layers have no experts and are left out\n",
                          report.dense_layers);
  }
  if (!experts) return text;
  const ImportedLayer& first = report.layers.front();
  absl::StrAppend(&text, "\nA pool that answers as layer ", first.layer, " needs:\n",
                  "  granularity: ROW\n  gate: {topk_softmax: {file: ", options.repository, "/",
                  first.gate_file, ", k: ", report.top_k, "}}\n",
                  "and an expert for each of its models.\n");
  if (!report.renormalize) {
    text +=
        "The weights of a pool's experts sum to 1. This layer's do not (norm_topk_prob is false):\n"
        "the pool's answers are the layer's but for a factor a row.\n";
  }
  if (!first.shared_model.empty()) {
    absl::StrAppend(&text, "The layer adds ", first.shared_model,
                    " to that: ask it too, and sum.\n");
  }
  return text;
}

std::string Json(const ImportReport& report) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const ImportedLayer& layer : report.layers) {
    nlohmann::ordered_json row = {{"layer", layer.layer}, {"models", layer.models}};
    if (!layer.gate_file.empty()) row["gate_file"] = layer.gate_file;
    if (!layer.shared_model.empty()) row["shared_model"] = layer.shared_model;
    row["dtype"] = layer.dtype;
    row["bytes"] = layer.bytes;
    layers.push_back(std::move(row));
  }
  const nlohmann::ordered_json all = {{"family", report.family},
                                      {"experts", report.experts},
                                      {"top_k", report.top_k},
                                      {"hidden", report.hidden},
                                      {"width", report.width},
                                      {"shared_width", report.shared_width},
                                      {"renormalize", report.renormalize},
                                      {"dense_layers", report.dense_layers},
                                      {"layers", std::move(layers)}};
  return all.dump(1) + "\n";
}

absl::Status RunImport(const ImportCommandOptions& options) {
  expert::ImportOptions import = options.import;
  import.as = options.as == "experts" ? ImportAs::kExperts : ImportAs::kMoe;
  constexpr size_t kSteps = 1000;
  absl::StatusOr<ImportReport> report;
  {
    Progress progress("importing", kSteps);
    import.progress = [&progress](double done) {
      progress.Advance(static_cast<size_t>(done * static_cast<double>(kSteps)));
    };
    report = expert::ImportCheckpoint(import);
  }
  if (absl::IsAlreadyExists(report.status())) {
    return absl::AlreadyExistsError(
        absl::StrCat(report.status().message(), "; --overwrite replaces what an import wrote"));
  }
  PENSTOCK_RETURN_IF_ERROR(report.status());
  std::printf("%s", options.json ? Json(*report).c_str() : Text(*report, import).c_str());
  return absl::OkStatus();
}

}  // namespace

void RegisterImport(CLI::App& app, Run& run) {
  auto options = std::make_shared<ImportCommandOptions>();
  expert::ImportOptions& import = options->import;
  CLI::App& command = *app.add_subcommand(
      "import",
      "Makes models of a Hugging Face checkpoint's mixture-of-experts layers: Mixtral, OLMoE, Qwen2-MoE\n"
      "and Qwen3-MoE (model_type mixtral, olmoe, qwen2_moe, qwen3_moe). Each layer becomes a model that takes\n"
      "tokens' hidden vectors, as rows, and answers with what the layer adds to them; or each expert\n"
      "becomes one, for a pool that routes rows by the layer's own router. Weights stay in the type that\n"
      "they are stored in; `penstock quantize` stores them in fewer bits.\n\n"
      "  penstock import --hf Mixtral-8x7B-v0.1 --out models --layer 0 --layer 1\n"
      "  penstock import --hf OLMoE-1B-7B-0924 --out models --as experts --layer 3 --name olmoe\n"
      "  penstock quantize models/mixtral-layer0 --output models/mixtral-layer0-int4\n\n"
      "DIR holds config.json and model.safetensors, or the shards that model.safetensors.index.json names;\n"
      "only the shards of the layers asked for need be there. All is checked before anything is written.");
  command.add_option("--hf", import.checkpoint, "the checkpoint's folder")
      ->required()
      ->type_name("DIR");
  command.add_option("--out", import.repository, "the model repository; made where there is none")
      ->required()
      ->type_name("REPOSITORY");
  command.add_option("--layer", import.layers,
                     "a layer, counted from 0; may stand several times. Unset: all that have experts");
  command
      .add_option("--as", options->as,
                  "moe: a model a layer, named NAME-layerL. experts: a model an expert, named\n"
                  "NAME-layerL-expertE, and the router as NAME-layerL.gate.safetensors, which a pool of\n"
                  "granularity ROW takes for its gate")
      ->check(CLI::IsMember({"moe", "experts"}))
      ->capture_default_str();
  command.add_option("--name", import.name,
                     "what models' names begin with; unset: the checkpoint's model_type");
  command.add_flag("--norm", import.norm,
                   "with the norm that stands before the layer (post_attention_layernorm), so that the\n"
                   "model takes the residual stream itself; what it answers is still to be added to that");
  command
      .add_option("--max_rows,--max-rows", import.max_rows, "rows, that is tokens, an execution")
      ->capture_default_str();
  command.add_flag("--overwrite", import.overwrite,
                   "replace models of the same names that an import wrote");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunImport(*options); }; });
}

}  // namespace penstock::cli
