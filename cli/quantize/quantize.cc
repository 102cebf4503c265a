#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/output/table.h"
#include "common/config/yaml_config.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "expert_service/quantization/quantize_model.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;

using expert::QuantizedModel;
using expert::QuantizedUnit;

constexpr char kWeights[] = "model.safetensors";
constexpr char kConfig[] = "config.yaml";

struct QuantizeCommandOptions {
  std::string model;
  std::string output;
  std::string format = "int4";
  int64_t version = 0;  // 0: the largest
  int64_t group = -1;   // -1: by the matrix
  int64_t budget_bytes = 0;
  double budget_bits = 0;
  std::string inputs;
  bool json = false;
};

absl::StatusOr<int64_t> LargestVersion(const std::string& model) {
  int64_t largest = 0;
  std::error_code error;
  for (fs::directory_iterator it(model, error), end; !error && it != end; it.increment(error)) {
    int64_t version = 0;
    if (absl::SimpleAtoi(it->path().filename().string(), &version)) {
      largest = std::max(largest, version);
    }
  }
  if (largest < 1) {
    return absl::NotFoundError(absl::StrCat(
        "MODEL: wanted a model's folder (config.yaml and a version's folder), found ", model));
  }
  return largest;
}

absl::StatusOr<std::string> ReadAll(const std::string& option, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat(option, ": ", path, " cannot be read"));
  return bytes.str();
}

absl::StatusOr<std::vector<float>> ReadInputs(const std::string& path) {
  if (path.empty()) return std::vector<float>();
  PENSTOCK_ASSIGN_OR_RETURN(const std::string bytes, ReadAll("--inputs", path));
  if (bytes.empty() || bytes.size() % sizeof(float) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--inputs: ", path, ": wanted raw little-endian fp32 rows, found ", bytes.size(),
        " bytes"));
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// The configuration of the model under its new name.
std::string Renamed(const std::string& config, const std::string& name) {
  std::istringstream lines(config);
  std::string renamed, line;
  while (std::getline(lines, line)) {
    absl::StrAppend(&renamed, line.rfind("name:", 0) == 0 ? absl::StrCat("name: ", name) : line,
                    "\n");
  }
  return renamed;
}

absl::Status Write(const QuantizeCommandOptions& options, const QuantizedModel& model) {
  const std::string folder = absl::StrCat(options.output, "/1");
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("--output: ", folder, " cannot be made: ", error.message()));
  }
  PENSTOCK_RETURN_IF_ERROR(
      WriteSafetensors(absl::StrCat(folder, "/", kWeights), model.tensors, model.metadata));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string config,
                            ReadAll("MODEL", absl::StrCat(options.model, "/", kConfig)));
  std::ofstream copy(absl::StrCat(options.output, "/", kConfig));
  copy << Renamed(config, fs::path(options.output).filename().string());
  if (!copy.flush()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--output: ", options.output, "/", kConfig, " cannot be written"));
  }
  return absl::OkStatus();
}

double BitsAWeight(int64_t bytes, int64_t weights) {
  return 8 * static_cast<double>(bytes) / static_cast<double>(weights);
}

std::string FormatText(const QuantizedUnit& unit) {
  const std::string name(kernels::FormatName(unit.stored.format));
  return unit.stored.group == 0 ? name : absl::StrCat(name, ":", unit.stored.group);
}

std::string Text(const QuantizedModel& model) {
  Table table({"matrix", "outputs", "inputs", "stored as", "bytes", "bits/weight", "weight error",
               "output error"});
  for (const QuantizedUnit& unit : model.units) {
    table.AddRow({unit.unit.name, absl::StrCat(unit.unit.out), absl::StrCat(unit.unit.in),
                  FormatText(unit), absl::StrCat(unit.bytes),
                  absl::StrFormat("%.2f", BitsAWeight(unit.bytes, unit.unit.weights())),
                  absl::StrFormat("%.2g", unit.weight_error),
                  unit.output_error ? absl::StrFormat("%.2g", *unit.output_error) : "-"});
  }
  std::string text = table.ToString();
  absl::StrAppend(&text,
                  "\nweight error: ||W' - W|| / ||W||. output error: what storing this matrix alone "
                  "so changes in the\nmodel's outputs, mean square over their own; \"-\" without "
                  "--inputs.\n");
  absl::StrAppendFormat(&text, "\n%d weights: %d bytes, %.2f bits each (%d bytes before, %.2f)\n",
                        model.weights, model.bytes, BitsAWeight(model.bytes, model.weights),
                        model.bytes_before, BitsAWeight(model.bytes_before, model.weights));
  if (model.output_error) {
    absl::StrAppendFormat(&text, "output error of the whole: %.3g\n", *model.output_error);
  }
  return text;
}

std::string Json(const QuantizedModel& model) {
  nlohmann::ordered_json units = nlohmann::ordered_json::array();
  for (const QuantizedUnit& unit : model.units) {
    nlohmann::ordered_json row = {{"matrix", unit.unit.name},
                                  {"outputs", unit.unit.out},
                                  {"inputs", unit.unit.in},
                                  {"format", kernels::FormatName(unit.stored.format)},
                                  {"group", unit.stored.group},
                                  {"bytes", unit.bytes},
                                  {"weight_error", unit.weight_error}};
    if (unit.output_error) row["output_error"] = *unit.output_error;
    units.push_back(std::move(row));
  }
  nlohmann::ordered_json report = {{"weights", model.weights},
                                   {"bytes", model.bytes},
                                   {"bytes_before", model.bytes_before},
                                   {"matrices", units}};
  if (model.output_error) report["output_error"] = *model.output_error;
  return report.dump(1) + "\n";
}

absl::Status RunQuantize(const QuantizeCommandOptions& options) {
  expert::QuantizeOptions quantize;
  const auto format = kernels::ParseFormat(options.format);
  if (!format || !kernels::IsScaled(*format)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--format: wanted int8, int4, fp8_e4m3, ternary or pot4, found ", options.format));
  }
  quantize.format = *format;
  if (options.group >= 0) quantize.group = options.group;
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t largest, LargestVersion(options.model));
  const int64_t version = options.version > 0 ? options.version : largest;
  config::v1::Model config;
  PENSTOCK_RETURN_IF_ERROR(ReadYamlFile(absl::StrCat(options.model, "/", kConfig), config));
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::shared_ptr<const Safetensors> file,
      Safetensors::Open(absl::StrCat(options.model, "/", version, "/", kWeights)));
  PENSTOCK_ASSIGN_OR_RETURN(quantize.inputs, ReadInputs(options.inputs));
  if (options.budget_bytes > 0) quantize.budget_bytes = options.budget_bytes;
  if (options.budget_bits > 0) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<expert::WeightUnit> units,
                              expert::WeightUnits(config, *file));
    int64_t weights = 0;
    for (const expert::WeightUnit& unit : units) weights += unit.weights();
    quantize.budget_bytes =
        static_cast<int64_t>(options.budget_bits * static_cast<double>(weights) / 8);
  }
  constexpr size_t kSteps = 1000;
  Progress progress("measuring", kSteps);
  quantize.progress = [&progress](double done) {
    progress.Advance(static_cast<size_t>(done * static_cast<double>(kSteps)));
  };
  PENSTOCK_ASSIGN_OR_RETURN(const QuantizedModel model,
                            expert::QuantizeModel(config, *file, quantize));
  PENSTOCK_RETURN_IF_ERROR(Write(options, model));
  std::printf("%s", options.json ? Json(model).c_str() : Text(model).c_str());
  if (!options.json) std::printf("written to %s\n", options.output.c_str());
  return absl::OkStatus();
}

}  // namespace

void RegisterQuantize(CLI::App& app, Run& run) {
  auto options = std::make_shared<QuantizeCommandOptions>();
  CLI::App& command = *app.add_subcommand(
      "quantize",
      "Stores a model's matrices in fewer bits: a new model folder, which experts serve like any other.\n"
      "With a budget, each matrix of each expert gets the bits that its effect on the answers earns it,\n"
      "among ternary, int4, int8 and as stored.\n\n"
      "  penstock quantize models/moe --output models/moe-int4 --format int4 --group 64\n"
      "  penstock quantize models/moe --output models/moe-4.5 --budget_bits 4.5 --inputs train.images.f32");
  command.add_option("model", options->model, "the model's folder: config.yaml and versions")
      ->required();
  command.add_option("--output", options->output, "folder of the new model; its name names the model")
      ->required();
  command
      .add_option("--format", options->format,
                  "of every matrix, without a budget: int8, int4, fp8_e4m3, ternary or pot4")
      ->capture_default_str();
  command.add_option("--group", options->group,
                     "inputs that share a scale: 32, 64, 128, or 0 for all of an output's; unset: the\n"
                     "largest of 128, 64 and 32 that divides the inputs");
  CLI::Option* bytes = command.add_option("--budget_bytes,--budget-bytes", options->budget_bytes,
                                          "bytes that all matrices may take, codes and scales");
  command
      .add_option("--budget_bits,--budget-bits", options->budget_bits,
                  "the same as bits a weight, on the mean")
      ->excludes(bytes);
  command.add_option("--inputs", options->inputs,
                     "raw fp32 rows of the model's input, a few hundred: errors are measured at the\n"
                     "model's outputs; without them they are told from the weights alone");
  command.add_option("--version", options->version, "of the model; unset: the largest");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunQuantize(*options); }; });
}

}  // namespace penstock::cli
