#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/tensors/safetensors.h"
#include "expert_service/models/model.h"
#include "google/protobuf/text_format.h"
#include "kernels/linear/weight_format.h"

namespace penstock::expert {
namespace {

constexpr int64_t kDim = 8;

// Every kind of tensor that the loader knows: plain and coded matrices, those of experts stacked
// and apart, vectors, optional ones.
const config::v1::Model& Config() {
  static const config::v1::Model config = [] {
    config::v1::Model parsed;
    const bool ok = google::protobuf::TextFormat::ParseFromString(
        R"pb(
          inputs { name: "x" datatype: "FP32" shape: 8 }
          outputs {
            name: "y"
            datatype: "FP32"
            shape: [ -1 ]
          }
          blocks { linear {} }
          blocks { gated_mlp { norm: true residual: true activation: SWIGLU_CLAMPED } }
          blocks { moe { top_k: 2 score: SIGMOID } }
          batching { max_rows: 4 }
        )pb",
        &parsed);
    if (!ok) std::abort();
    return parsed;
  }();
  return config;
}

// What the input says, byte by byte; zeros behind its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

  uint8_t Next() { return at_ == end_ ? 0 : *at_++; }
  std::string Take(size_t count) {
    std::string bytes(count, '\0');
    for (char& byte : bytes) byte = static_cast<char>(Next());
    return bytes;
  }
  std::string Rest() { return std::string(reinterpret_cast<const char*>(at_), end_ - at_); }

 private:
  const uint8_t* at_;
  const uint8_t* const end_;
};

struct Named {
  const char* name;
  std::vector<int64_t> shape;
};

// A file that is right but for what the input changes: the format of a matrix, a length, a name, or
// every byte of data, codes and scales.
std::string NearlyRight(Input& input) {
  static const std::vector<Named> wanted = {
      {"0.weight", {kDim, kDim}},    {"0.bias", {kDim}},
      {"1.gate", {6, kDim}},         {"1.up", {6, kDim}},
      {"1.down", {kDim, 6}},         {"1.norm", {kDim}},
      {"2.router", {3, kDim}},       {"2.router_bias", {3}},
      {"2.gate", {3, 5, kDim}},      {"2.up.0", {5, kDim}},
      {"2.up.1", {5, kDim}},         {"2.up.2", {5, kDim}},
      {"2.down", {3, 4, 5}},         {"2.shared_gate", {7, kDim}},
      {"2.shared_up", {7, kDim}},    {"2.shared_down", {4, 7}},
      {"2.shared_weight", {1, kDim}}};
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
  const auto add = [&](std::string name, std::vector<int64_t> shape, const char* dtype,
                       size_t element) {
    size_t size = element;
    for (const int64_t dimension : shape) size *= static_cast<size_t>(dimension);
    SafetensorsTensor tensor = {std::move(name), std::move(shape), {}, dtype, input.Take(size)};
    if (tensor.dtype == "F32") {  // held as numbers
      tensor.values.resize(size / element);
      if (size > 0) std::memcpy(tensor.values.data(), tensor.raw.data(), size);
      tensor.raw.clear();
    }
    tensors.push_back(std::move(tensor));
  };
  for (const auto& [name, shape] : wanted) {
    std::vector<int64_t> found = shape;
    const uint8_t how = input.Next();
    if (how % 64 == 63) continue;                 // missing
    if (how % 64 == 62) found.back() = how / 64;  // another length, 0 among them
    const uint8_t type = input.Next();
    const auto formats = kernels::WeightFormats();
    const kernels::WeightFormat format = formats[type % formats.size()];
    if (found.size() == 2 && kernels::IsScaled(format)) {
      const int64_t row = (found[1] * kernels::FormatBits(format) + 7) / 8;
      add(absl::StrCat(name, ".codes"), {found[0], row}, "U8", 1);
      add(absl::StrCat(name, ".scales"), {found[0], 1 + type / 128}, "F32", 4);
      metadata[absl::StrCat(name, ".format")] = std::string(kernels::FormatName(format));
    } else {
      const bool half = type % 2 == 0;
      add(name, found, half ? (type % 4 == 0 ? "BF16" : "F16") : (type % 4 == 1 ? "F32" : "I32"),
          half ? 2 : 4);
    }
  }
  const absl::StatusOr<std::string> file = SafetensorsBytes(tensors, metadata);
  if (!file.ok()) std::abort();
  return *file;
}

// A model that is made must run, whatever its weights are.
void Run(const Model& model) {
  std::vector<float> rows(3 * kDim);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = 0.25f * static_cast<float>(i) - 2;
  const auto accepted = model.Accept({FloatTensor("x", {3, kDim}, rows)});
  if (!accepted.ok()) std::abort();
  const size_t wanted[] = {0};
  std::vector<Tensor> outputs;
  const ModelCall calls[] = {{&*accepted, wanted, &outputs}};
  Arena arena;
  if (!model.Run(calls, arena).ok() || outputs.size() != 1) std::abort();
}

}  // namespace
}  // namespace penstock::expert

// Bytes as a model's file: either as they are, or as what differs from one that is right.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock::expert;  // NOLINT
  Input input(data, size);
  const bool raw = input.Next() % 4 == 0;
  const auto file = penstock::Safetensors::Parse(raw ? input.Rest() : NearlyRight(input));
  if (!file.ok()) {
    if (!raw) std::abort();
    return 0;
  }
  const auto model = Model::Create(Config(), "fuzz", 1, file->get(), "fuzz");
  if (model.ok()) Run(**model);
  return 0;
}
