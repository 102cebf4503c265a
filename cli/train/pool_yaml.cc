#include "cli/train/pool_yaml.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

// Quoted where YAML would read something else than this text.
std::string Scalar(const std::string& text) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/' ||
           c == '-';
  };
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), is_plain) &&
                     (std::isalpha(static_cast<unsigned char>(text[0])) != 0 || text[0] == '/') &&
                     text != "true" && text != "false" && text != "null" && text != "yes" &&
                     text != "no" && text != "on" && text != "off";
  return plain ? text
               : nlohmann::json(text).dump(-1, ' ', false,
                                           nlohmann::json::error_handler_t::replace);
}

std::string Flow(const nlohmann::ordered_json& value) {
  if (value.is_string()) return Scalar(value.get<std::string>());
  if (!value.is_object()) return value.dump();
  std::vector<std::string> fields;
  for (const auto& [key, item] : value.items()) {
    fields.push_back(absl::StrCat(Scalar(key), ": ", Flow(item)));
  }
  return absl::StrCat("{", absl::StrJoin(fields, ", "), "}");
}

std::string Flow(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions format;
  format.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, format).ok()) return "{}";
  return Flow(nlohmann::ordered_json::parse(json, nullptr, false));
}

// Empty where the training wrote no such file.
std::string FileOf(const router::TrainReport& report, const std::string& name) {
  const auto found =
      std::find_if(report.files.begin(), report.files.end(), [&name](const std::string& file) {
        return std::filesystem::path(file).filename() == name;
      });
  return found == report.files.end() ? "" : *found;
}

std::string Features(const router::TrainOptions& options, const router::TrainReport& report) {
  if (report.partial) return "  # features: as the pool that wrote the log has them\n";
  if (report.dimension == 0) return "";
  config::v1::Features features = options.features;
  features.mutable_tensor_pooling();
  return absl::StrCat("  features: ", Flow(features), "\n");
}

std::string Gate(const router::TrainOptions& options, const router::TrainReport& report) {
  config::v1::Gate gate;
  const router::GateTrainer* trainer = router::FindGateTrainer(options.gate);
  if (trainer != nullptr) {
    gate = trainer->configure(FileOf(report, absl::StrCat(trainer->name, ".safetensors")),
                              options.gate_options);
  } else {
    gate.mutable_topk_softmax()->set_file(FileOf(report, "gate.safetensors"));
  }
  return absl::StrCat("  gate: ", Flow(gate), "\n");
}

std::string Selection(const router::TrainOptions& options, const router::TrainReport& report) {
  config::v1::Selection selection;
  if (options.gate != "topk_softmax") selection.set_score(config::v1::Selection::GATE_MASS);
  const std::string count = FileOf(report, "count.safetensors");
  if (!count.empty()) {
    selection.set_max_experts(
        static_cast<uint32_t>(std::min(options.count->most, report.experts.size())));
    selection.set_count_file(count);
  }
  if (selection.ByteSizeLong() == 0) return "";
  return absl::StrCat("  selection: ", Flow(selection), "\n",
                      count.empty() ? "" : "  combiner: VOTE\n");
}

// A cascade that was asked for; one that could be had is a comment, since it changes who answers.
std::string Cascade(const router::TrainOptions& options, const router::TrainReport& report) {
  const std::string file = FileOf(report, "cascade.safetensors");
  if (file.empty()) return "";
  config::v1::Cascade cascade;
  const bool asked = !options.cascade.empty() || !options.verifier.empty();
  if (!options.cascade.empty()) {
    cascade.set_first(options.cascade.front());
  } else if (report.slow_check.has_value()) {
    cascade.set_first(report.slow_check->first);
  } else if (!report.cascades.empty()) {
    cascade.set_first(report.cascades.front().first);
  }
  if (cascade.first().empty()) return "";
  cascade.set_file(file);
  if (options.cascade.size() > 2) {
    cascade.set_max_escalations(static_cast<uint32_t>(options.cascade.size() - 1));
  }
  if (!options.verifier.empty()) cascade.mutable_slow_check()->set_verifier(options.verifier);
  if (asked) return absl::StrCat("  cascade: ", Flow(cascade), "\n");
  return absl::StrCat("  # ", cascade.first(), " may answer first, and others only where that pays:\n",
                      "  # cascade: ", Flow(cascade), "\n");
}

}  // namespace

std::string PoolYaml(const router::TrainOptions& options, const router::TrainReport& report) {
  if (report.files.empty()) return "";
  return absl::StrCat(Features(options, report), "  quality_file: ",
                      Scalar(FileOf(report, "quality.safetensors")), "\n", Gate(options, report),
                      Selection(options, report), Cascade(options, report));
}

std::string HowToServe(const std::string& pool_yaml) {
  return pool_yaml.empty() ? "" : absl::StrCat("To serve it, the pool needs:\n", pool_yaml);
}

}  // namespace penstock::cli
