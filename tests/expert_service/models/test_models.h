#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/tensors/safetensors.h"
#include "expert_service/models/model.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::expert {

struct NamedWeights {
  std::string name;
  std::vector<int64_t> shape;
};

// Values that no block treats alike: a sine of the index, between -1 and 1, scaled.
inline std::vector<float> Wave(int64_t count, float scale = 0.5f, float phase = 0.0f) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = scale * std::sin(0.7f * static_cast<float>(i) + phase + 0.3f);
  }
  return values;
}

inline config::v1::Model ModelConfigOf(const std::string& text) {
  config::v1::Model config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

// A model from its configuration's text form and weights of given values.
inline absl::StatusOr<std::shared_ptr<const Model>> MakeModel(
    const std::string& text, const std::vector<SafetensorsTensor>& tensors,
    std::string name = "test", int64_t version = 1) {
  const config::v1::Model config = ModelConfigOf(text);
  if (tensors.empty()) return Model::Create(config, name, version, nullptr, "model.safetensors");
  const TempDir folder;
  const std::string path = folder.File("model.safetensors");
  if (const absl::Status status = WriteSafetensors(path, tensors, {}); !status.ok()) return status;
  absl::StatusOr<std::shared_ptr<const Safetensors>> weights = Safetensors::Open(path);
  if (!weights.ok()) return weights.status();
  return Model::Create(config, name, version, weights->get(), "model.safetensors");
}

inline std::vector<SafetensorsTensor> WaveWeights(const std::vector<NamedWeights>& shapes) {
  std::vector<SafetensorsTensor> tensors;
  for (const NamedWeights& each : shapes) {
    int64_t count = 1;
    for (const int64_t dimension : each.shape) count *= dimension;
    tensors.push_back(
        {each.name, each.shape, Wave(count, 0.4f, static_cast<float>(tensors.size()))});
  }
  return tensors;
}

// Runs `inputs` together; the outputs of each, all of the contract's.
inline std::vector<std::vector<Tensor>> RunTogether(const Model& model,
                                                    const std::vector<ModelInputs>& inputs) {
  std::vector<size_t> wanted(model.contract().outputs.size());
  for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = i;
  std::vector<std::vector<Tensor>> outputs(inputs.size());
  std::vector<ModelCall> calls;
  for (size_t i = 0; i < inputs.size(); ++i) calls.push_back({&inputs[i], wanted, &outputs[i]});
  Arena arena;
  const absl::Status status = model.Run(calls, arena);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return outputs;
}

inline std::vector<float> RunOne(const Model& model, Tensor input, size_t output = 0) {
  std::vector<Tensor> inputs;
  inputs.push_back(std::move(input));
  absl::StatusOr<ModelInputs> accepted = model.Accept(std::move(inputs));
  EXPECT_TRUE(accepted.ok()) << accepted.status().ToString();
  if (!accepted.ok()) return {};
  const std::vector<std::vector<Tensor>> outputs = RunTogether(model, {*accepted});
  absl::StatusOr<std::vector<float>> floats = ToFloats(outputs[0][output]);
  EXPECT_TRUE(floats.ok()) << floats.status().ToString();
  return floats.ok() ? *std::move(floats) : std::vector<float>();
}

}  // namespace penstock::expert
