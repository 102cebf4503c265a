#include "tests/integration/test_models.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/random.h"
#include "common/tensors/safetensors.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

constexpr int64_t kInputs = 4;
constexpr int64_t kOutputs = 2;
constexpr int64_t kWidth = 512;
constexpr int64_t kHidden = 1024;

constexpr char kContract[] = R"(
inputs: [{name: x, datatype: FP32, shape: [4]}]
outputs: [{name: y, datatype: FP32, shape: [2]}]
)";

void Write(const TempDir& repository, const std::string& name, const std::string& config,
           const std::vector<SafetensorsTensor>& tensors) {
  repository.Write(absl::StrCat(name, "/config.yaml"), config);
  repository.Write(absl::StrCat(name, "/1/.keep"), "");
  const absl::Status written =
      WriteSafetensors(repository.File(absl::StrCat(name, "/1/model.safetensors")), tensors, {});
  EXPECT_TRUE(written.ok()) << written;
}

SafetensorsTensor Matrix(const std::string& name, int64_t out, int64_t in) {
  return {name,
          {out, in},
          TestFloats(static_cast<uint64_t>(out * 31 + in), static_cast<size_t>(out * in), 0.1f)};
}

}  // namespace

std::vector<float> TestFloats(uint64_t seed, size_t count, float scale) {
  CounterRandom random(seed, 0);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(2 * random.Uniform() - 1) * scale;
  return values;
}

void WriteTinyModel(const TempDir& repository, const std::string& name) {
  Write(repository, name,
        absl::StrCat(kContract, "blocks: [{linear: {}}]\nbatching: {max_rows: 64}\n"),
        {Matrix("0.weight", kOutputs, kInputs)});
}

void WriteSlowModel(const TempDir& repository, const std::string& name, int max_queue) {
  Write(repository, name,
        absl::StrCat(
            kContract, "blocks: [{linear: {}}, {gated_mlp: {}}, {linear: {}}]\n",
            absl::Substitute("batching: {max_rows: $0, max_queue: $1}\n", kSlowRows, max_queue)),
        {Matrix("0.weight", kWidth, kInputs), Matrix("1.gate", kHidden, kWidth),
         Matrix("1.up", kHidden, kWidth), Matrix("1.down", kWidth, kHidden),
         Matrix("2.weight", kOutputs, kWidth)});
}

InferRequest TinyRequest(const std::string& pool, int64_t rows) {
  InferRequest request;
  request.model_name = pool;
  request.inputs.push_back(
      FloatTensor("x", {rows, kInputs}, TestFloats(7, static_cast<size_t>(rows * kInputs), 1)));
  return request;
}

}  // namespace penstock
