#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::expert {

enum class ImportAs {
  kMoe,      // a model a layer, with its router
  kExperts,  // a model an expert, for pools of granularity ROW, and the router as their gate's file
};

struct ImportOptions {
  std::string checkpoint;       // folder: config.json and the tensors
  std::string repository;       // folder that the models are written into
  std::string name;             // models' names begin so; empty: the checkpoint's model_type
  std::vector<int64_t> layers;  // empty: all that have experts
  ImportAs as = ImportAs::kMoe;
  bool norm = false;  // the layer's norm before it; kMoe only
  bool overwrite = false;
  int64_t max_rows = 64;                 // a row is a token
  std::function<void(double)> progress;  // told the part that is done
};

struct ImportedLayer {
  int64_t layer = 0;
  std::vector<std::string> models;
  std::string gate_file;     // kExperts
  std::string shared_model;  // kExperts, where the layer has a shared expert: not among `models`
  std::string dtype;
  uint64_t bytes = 0;
};

struct ImportReport {
  std::string family;
  int64_t experts = 0;
  int64_t top_k = 0;
  int64_t hidden = 0;
  int64_t width = 0;
  int64_t shared_width = 0;
  bool renormalize = true;
  int64_t dense_layers = 0;  // left out: they have no experts
  std::vector<ImportedLayer> layers;
};

// Writes the mixture-of-experts layers of a Hugging Face checkpoint as models, tensors as they are
// stored. Everything is checked before anything is written, and nothing outside `repository` is:
// INVALID_ARGUMENT and NOT_FOUND name field, tensor or file, what was wanted and what there is;
// ALREADY_EXISTS where a model is there and `overwrite` is not set.
absl::StatusOr<ImportReport> ImportCheckpoint(const ImportOptions& options);

}  // namespace penstock::expert
