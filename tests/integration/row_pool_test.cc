// A pool whose experts are the FFN experts of an MoE layer, in services of their own, answers as
// the layer does in one service.

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"
#include "common/tensors/safetensors.h"
#include "gtest/gtest.h"
#include "tests/integration/client.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

constexpr int64_t kDim = 256;
constexpr int64_t kHidden = 64;
constexpr int64_t kExperts = 5;
constexpr int64_t kIdle = 3;  // the expert that no row goes to
constexpr double kTolerance = 1e-5;

constexpr char kContract[] = R"(
inputs: [{name: x, datatype: FP32, shape: [256]}]
outputs: [{name: y, datatype: FP32, shape: [256]}]
)";
constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", threads: 1, drain: {grace: 0s}})";

struct Layer {
  std::vector<float> router = TestFloats(1, kExperts* kDim, 0.2f);
  std::vector<float> gate = TestFloats(2, kExperts* kHidden* kDim, 0.1f);
  std::vector<float> up = TestFloats(3, kExperts* kHidden* kDim, 0.1f);
  std::vector<float> down = TestFloats(4, kExperts* kDim* kHidden, 0.1f);

  // The first element of every row is 1, and the idle expert's logit is far below the others.
  Layer() {
    for (int64_t e = 0; e < kExperts; ++e) router[e * kDim] = e == kIdle ? -100 : 0;
  }
  static std::vector<float> Part(const std::vector<float>& of, int64_t expert) {
    const int64_t size = kHidden * kDim;
    return {of.begin() + expert * size, of.begin() + (expert + 1) * size};
  }
};

std::string ExpertName(int64_t expert) { return absl::StrCat("ffn", expert); }

void WriteModel(const TempDir& repository, const std::string& name, const std::string& block,
                int max_rows, const std::vector<SafetensorsTensor>& tensors) {
  repository.Write(
      absl::StrCat(name, "/config.yaml"),
      absl::StrCat(kContract, "blocks: [", block, "]\nbatching: {max_rows: ", max_rows, "}\n"));
  repository.Write(absl::StrCat(name, "/1/.keep"), "");
  const absl::Status written =
      WriteSafetensors(repository.File(absl::StrCat(name, "/1/model.safetensors")), tensors, {});
  ASSERT_TRUE(written.ok()) << written;
}

void WriteRepository(const TempDir& folder) {
  const Layer layer;
  std::vector<std::string> names;
  for (int64_t e = 0; e < kExperts; ++e) {
    names.push_back(absl::StrCat("\"", ExpertName(e), "\""));
    // Fewer rows than the largest request: its groups are cut.
    WriteModel(folder, ExpertName(e), "{gated_mlp: {}}", 1024,
               {{"0.gate", {kHidden, kDim}, Layer::Part(layer.gate, e)},
                {"0.up", {kHidden, kDim}, Layer::Part(layer.up, e)},
                {"0.down", {kDim, kHidden}, Layer::Part(layer.down, e)}});
  }
  for (const int k : {1, 2}) {
    WriteModel(folder, absl::StrCat("moe", k), absl::Substitute("{moe: {top_k: $0}}", k), 4096,
               {{"0.router", {kExperts, kDim}, layer.router},
                {"0.gate", {kExperts, kHidden, kDim}, layer.gate},
                {"0.up", {kExperts, kHidden, kDim}, layer.up},
                {"0.down", {kExperts, kDim, kHidden}, layer.down}});
  }
  const absl::Status written = WriteSafetensors(
      folder.File("gate.safetensors"), {{"weight", {kExperts, kDim}, layer.router}},
      {{"experts", absl::StrCat("[", absl::StrJoin(names, ", "), "]")}});
  ASSERT_TRUE(written.ok()) << written;
}

InferRequest Request(const std::string& pool, int64_t rows) {
  std::vector<float> x =
      TestFloats(static_cast<uint64_t>(100 + rows), static_cast<size_t>(rows * kDim), 1);
  for (int64_t row = 0; row < rows; ++row) x[static_cast<size_t>(row * kDim)] = 1;
  InferRequest request;
  request.model_name = pool;
  request.inputs.push_back(FloatTensor("x", {rows, kDim}, x));
  return request;
}

// The largest difference of an element, relative to the largest element of its row.
double WorstError(const std::vector<float>& got, const std::vector<float>& wanted) {
  double worst = 0;
  for (size_t row = 0; row < wanted.size(); row += kDim) {
    double scale = 0, error = 0;
    for (size_t i = row; i < row + kDim; ++i) {
      scale = std::max(scale, std::fabs(double{wanted[i]}));
      error = std::max(error, std::fabs(double{got[i]} - double{wanted[i]}));
    }
    worst = std::max(worst, error / scale);
  }
  return worst;
}

struct Case {
  int k;
  int64_t rows;
};

class RowPoolTest : public testing::TestWithParam<Case> {};

TEST_P(RowPoolTest, EqualsTheBlockInOneService) {
  const auto [k, rows] = GetParam();
  const TempDir folder;
  ASSERT_NO_FATAL_FAILURE(WriteRepository(folder));
  const auto expert_service = [&](const std::string& models) {
    return Process::Start(
        "penstock-expert",
        absl::Substitute("server: $0\nmodel_repository: $1\nmodels: [$2]\n"
                         "trust_plaintext: true\nexecution: {threads: 1, warm_up_runs: 1}\n",
                         kServer, folder.path(), models));
  };
  const auto first = expert_service(absl::Substitute("ffn0, ffn1, moe$0", k));
  const auto second = expert_service("ffn2, ffn3, ffn4");
  ASSERT_TRUE(first != nullptr && second != nullptr);
  std::string experts;
  for (int64_t e = 0; e < kExperts; ++e) {
    absl::StrAppend(&experts, e == 0 ? "" : ", ",
                    absl::Substitute("{name: $0, replicas: [{address: \"$1\"}]}", ExpertName(e),
                                     e < 2 ? first->grpc() : second->grpc()));
  }
  const auto platform = Process::Start(
      "penstock",
      absl::Substitute(R"(
gateway: {page: {http: "off"}, server: $0}
router:
  server: $0
  pools:
    - name: rows
      granularity: ROW
      experts: [$1]
      features: {tensor_pooling: {input: x}}
      gate: {topk_softmax: {file: "$2", k: $3}}
      combiner: WEIGHTED_SUM
    - {name: whole, experts: [{name: moe$3, replicas: [{address: "$4"}]}]}
)",
                       kServer, experts, folder.File("gate.safetensors"), k, first->grpc()),
      {"serve", "--roles", "gateway,router"});
  ASSERT_NE(platform, nullptr);
  TestClient client(platform->grpc());
  ASSERT_TRUE(client.WaitForExperts());

  const cli::Answer whole = client.Answered(Request("whole", rows));
  const cli::Answer by_rows = client.Answered(Request("rows", rows));
  ASSERT_NE(whole.Output("y"), nullptr);
  ASSERT_NE(by_rows.Output("y"), nullptr);
  ASSERT_EQ(by_rows.Output("y")->shape, (std::vector<int64_t>{rows, kDim}));
  const auto wanted = ToFloats(*whole.Output("y"));
  const auto got = ToFloats(*by_rows.Output("y"));
  ASSERT_TRUE(wanted.ok() && got.ok());
  EXPECT_LE(WorstError(*got, *wanted), kTolerance);

  const std::string answerers = by_rows.Text("penstock_experts");
  EXPECT_EQ(answerers.find(ExpertName(kIdle)), std::string::npos) << answerers;
  if (rows == 4096) {
    EXPECT_EQ(std::count(answerers.begin(), answerers.end(), ','), kExperts - 2) << answerers;
  }
}

INSTANTIATE_TEST_SUITE_P(RowsAndExperts, RowPoolTest,
                         testing::Values(Case{1, 1}, Case{1, 7}, Case{1, 4096}, Case{2, 1},
                                         Case{2, 7}, Case{2, 4096}),
                         [](const auto& info) {
                           return absl::StrCat("Top", info.param.k, "Rows", info.param.rows);
                         });

}  // namespace
}  // namespace penstock
