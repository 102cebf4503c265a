// A row's answer does not depend on the rows beside it.

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/config/yaml_config.h"
#include "gtest/gtest.h"
#include "penstock/config/v1/model.pb.h"
#include "tests/integration/client.h"
#include "tests/integration/digits.h"
#include "tests/integration/process.h"

namespace penstock {
namespace {

constexpr int64_t kImages = 64;

constexpr char kPlatform[] = R"(
gateway: {page: {http: "off"}, server: {grpc: "127.0.0.1:0", metrics: "off", threads: 1, drain: {grace: 0s}}}
router:
  server: {grpc: "127.0.0.1:0", metrics: "off", threads: 1, drain: {grace: 0s}}
  pools: [{name: digits, experts: [{name: $0}]}]
expert:
  server: {grpc: "127.0.0.1:0", metrics: "off", threads: 1, drain: {grace: 0s}}
  model_repository: $1
  models: [$0]
  execution: {threads: 2, warm_up_runs: 1}
)";

// The rows of a batch's outputs, each as an answer to one image.
std::vector<RawAnswer> Rows(const cli::Answer& answer, int64_t count) {
  std::vector<RawAnswer> rows(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    RawAnswer& row = rows[static_cast<size_t>(i)];
    row.experts = answer.Text("penstock_experts");
    row.weights = answer.Text("penstock_weights");
    for (const Tensor& output : answer.outputs) {
      auto slice = SliceRows(output, i, 1);
      EXPECT_TRUE(slice.ok()) << slice.status();
      if (slice.ok()) row.outputs.push_back(*std::move(slice));
    }
  }
  return rows;
}

class BatchEqualityTest : public testing::TestWithParam<const char*> {};

TEST_P(BatchEqualityTest, AnImageAloneIsBitEqualToTheSameImageInAnyBatch) {
  PENSTOCK_FETCH_OR_SKIP(images);
  const std::string model = GetParam();
  config::v1::Model config;
  const absl::Status read =
      ReadYamlFile(DigitsFile(absl::StrCat("models/", model, "/config.yaml")), config);
  ASSERT_TRUE(read.ok()) << read;
  const int64_t max_rows = config.batching().max_rows();
  const auto platform = Process::Start(
      "penstock", absl::Substitute(kPlatform, model, DigitsFile("models")), {"serve"});
  ASSERT_NE(platform, nullptr);
  TestClient client(platform->grpc());
  const auto forced = [&](int64_t first, int64_t count) {
    InferRequest request = images.Request("digits", first, count);
    request.parameters.push_back({"penstock_experts", model});
    return request;
  };

  std::vector<RawAnswer> alone;
  for (int64_t i = 0; i < kImages; ++i) alone.push_back(Essence(client.Answered(forced(i, 1))));

  for (const int64_t wanted : {1, 7, 64}) {
    const int64_t size = std::min(wanted, max_rows);
    for (int64_t first = 0; first < kImages; first += size) {
      const int64_t count = std::min(size, kImages - first);
      const std::vector<RawAnswer> rows = Rows(client.Answered(forced(first, count)), count);
      for (int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(Difference(alone[static_cast<size_t>(first + i)], rows[static_cast<size_t>(i)]),
                  "")
            << "image " << first + i << " in a batch of " << count;
      }
    }
  }

  // Requests of one image that the expert service puts together itself.
  std::vector<std::shared_ptr<Pending>> sent;
  for (int64_t i = 0; i < kImages; ++i) sent.push_back(client.Send(forced(i, 1)));
  for (int64_t i = 0; i < kImages; ++i) {
    const auto answer = cli::DecodeAnswer(sent[static_cast<size_t>(i)]->Wait());
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(Difference(alone[static_cast<size_t>(i)], Essence(*answer)), "")
        << "image " << i << " among requests sent at once";
  }
}

INSTANTIATE_TEST_SUITE_P(EveryModel, BatchEqualityTest,
                         testing::Values("linear", "mlp32", "mlp_wide", "moe", "vit_small",
                                         "vit_large"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace penstock
