#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/tensors/safetensors.h"

namespace penstock::expert {

// A model folder to be: config.yaml and 1/model.safetensors.
struct ModelFiles {
  std::string name;
  std::string config;
  std::vector<SafetensorsView> tensors;

  uint64_t bytes() const;
};

// A name of a folder and no path: letters, digits, '-', '_' and '.', not first a '.'.
bool IsModelName(absl::string_view name);

// Whether the repository can take the model. ALREADY_EXISTS where it has one of that name and
// `overwrite` is not set; with it INVALID_ARGUMENT where the folder holds more than the two files.
absl::Status CheckPlace(const std::string& repository, const std::string& name, bool overwrite);

// Writes the folder beside its place and moves it there once it is whole, so that what fails leaves
// things as they were.
absl::Status WriteModel(const std::string& repository, const ModelFiles& model, bool overwrite,
                        const std::function<void(uint64_t)>& progress);

}  // namespace penstock::expert
