#include "cli/train/pool_yaml.h"

#include "common/config/yaml_config.h"
#include "tests/support/status_matchers.h"

namespace penstock::cli {
namespace {

router::TrainReport Wrote(const std::vector<std::string>& names) {
  router::TrainReport report;
  report.dimension = 49;
  report.experts.resize(3);
  for (const std::string& name : names) report.files.push_back("out/" + name + ".safetensors");
  return report;
}

TEST(PoolYamlTest, GateAndQualityOfAPlainTraining) {
  router::TrainOptions options;
  options.features.mutable_tensor_pooling()->set_input("image");
  options.features.mutable_tensor_pooling()->set_cells(49);
  EXPECT_EQ(PoolYaml(options, Wrote({"gate", "quality"})),
            "  features: {tensor_pooling: {input: image, cells: 49}}\n"
            "  quality_file: out/quality.safetensors\n"
            "  gate: {topk_softmax: {file: out/gate.safetensors}}\n");
}

TEST(PoolYamlTest, AnotherGateDecidesByItsMass) {
  router::TrainOptions options;
  options.gate = "activation";
  options.gate_options.activation = config::v1::ActivationGate::IDENTITY;
  options.gate_options.temperature = 0.5;
  const std::string yaml = PoolYaml(options, Wrote({"gate", "quality", "activation"}));
  config::v1::Router router;
  ASSERT_THAT(ReadYaml("pools:\n- name: digits\n" + yaml, router), IsOk());
  const config::v1::Pool& pool = router.pools(0);
  EXPECT_EQ(pool.gate().activation().file(), "out/activation.safetensors");
  EXPECT_EQ(pool.gate().activation().activation(), config::v1::ActivationGate::IDENTITY);
  EXPECT_EQ(pool.gate().activation().temperature(), 0.5);
  EXPECT_EQ(pool.selection().score(), config::v1::Selection::GATE_MASS);
}

TEST(PoolYamlTest, ACountIsAtMostTheExperts) {
  router::TrainOptions options;
  options.count.emplace().most = 5;
  EXPECT_THAT(PoolYaml(options, Wrote({"gate", "quality", "count"})),
              testing::HasSubstr("  selection: {max_experts: 3, count_file: out/count.safetensors}\n"
                                 "  combiner: VOTE\n"));
}

TEST(PoolYamlTest, ACascadeThatWasAskedForIsServedInItsOrder) {
  router::TrainOptions options;
  options.cascade = {"small", "medium", "large"};
  EXPECT_THAT(PoolYaml(options, Wrote({"gate", "quality", "cascade"})),
              testing::HasSubstr("  cascade: {first: small, file: out/cascade.safetensors, "
                                 "max_escalations: 2}\n"));
}

TEST(PoolYamlTest, ACascadeThatMerelyCouldBeHadIsAComment) {
  router::TrainReport report = Wrote({"gate", "quality", "cascade"});
  report.cascades.emplace_back().first = "small";
  EXPECT_THAT(PoolYaml({}, report),
              testing::HasSubstr("  # cascade: {first: small, file: out/cascade.safetensors}\n"));
}

TEST(PoolYamlTest, FeaturesOfALogAreItsPools) {
  router::TrainReport report = Wrote({"gate", "quality"});
  report.partial = true;
  EXPECT_THAT(PoolYaml({}, report), testing::StartsWith("  # features: as the pool"));
}

TEST(PoolYamlTest, TextThatYamlWouldReadOtherwiseIsQuoted) {
  router::TrainOptions options;
  options.features.mutable_tensor_pooling()->set_input("x: y");
  EXPECT_THAT(PoolYaml(options, Wrote({"gate", "quality"})),
              testing::HasSubstr("{input: \"x: y\"}"));
}

TEST(PoolYamlTest, NothingWrittenIsNothingToServe) {
  EXPECT_EQ(PoolYaml({}, Wrote({})), "");
  EXPECT_EQ(HowToServe(""), "");
  EXPECT_EQ(HowToServe("  quality_file: q\n"),
            "To serve it, the pool needs:\n  quality_file: q\n");
}

}  // namespace
}  // namespace penstock::cli
